//! The programs that tests run: the examples of this package and the static binary of the image.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A built example beside `binary`; panics with what builds it.
pub fn example(binary: &Path, name: &str) -> PathBuf {
    let path = binary.with_file_name("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo build -p bed --examples`",
        path.display()
    );
    path
}

/// The binary that the image has; panics with what builds it.
pub fn shipped() -> PathBuf {
    let root = root();
    let made = Command::new("make")
        .args(["-s", "static-path"])
        // An outer make's variables would change what is printed.
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .current_dir(&root)
        .output()
        .unwrap();
    let path = String::from_utf8(made.stdout).unwrap();
    let path = root.join(path.trim());
    assert!(path.exists(), "{}: `make static` builds it", path.display());
    path
}
