//! Writes the bundle for the Operator Lifecycle Manager: `make bundle`.
#![allow(clippy::expect_used, reason = "a file that can't be written is said")]

use std::fs;

fn main() {
    let root = bed::root();
    let to = root.join("manifests/olm");
    let _ = fs::remove_dir_all(&to);
    for (path, text) in bed::bundle(&root) {
        let path = to.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder of the bundle");
        fs::write(path, text).expect("a file of the bundle");
    }
}
