fn main() {
    println!("{}", lagscale::resources::crds().unwrap_or_default());
}
