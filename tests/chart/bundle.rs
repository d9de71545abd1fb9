//! The bundle for the Operator Lifecycle Manager, as that project's own library looks at it.

use std::{fs, path::Path, process::Command};

use bed::parts;

use crate::root;

/// Everything that the library says of a bundle.
fn said_of(bundle: &Path) -> String {
    let output = Command::new(parts::operator_verify())
        .args(["manifests", "--object_validate"])
        .arg(bundle)
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_library_of_olm_has_nothing_to_say_of_the_bundle_and_names_what_would_be_wrong() {
    let said = said_of(&root().join("manifests/olm"));
    assert_eq!(said, "");

    let folder = tempfile::tempdir().unwrap();
    // A folder whose name begins with a dot is passed over.
    let wrong = folder.path().join("bundle");
    for (path, text) in bed::bundle(&root()) {
        let file = wrong.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let misspelt = text.replace("kind: LagMetric\n", "kind: LagMeter\n");
        fs::write(file, misspelt).unwrap();
    }
    let said = said_of(&wrong);
    assert!(said.contains("LagMeter"), "{said}");
}
