//! An image of static programs: an empty root with them and a few files in it, packed by umoci, which needs no daemon. Of the same files it
//! has the same digest.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::parts;

/// A file of an image, as it is here and there.
#[derive(Clone)]
pub struct Packed {
    /// Where it is.
    pub from: PathBuf,
    /// Its path in the image, without the first slash.
    pub to: String,
}

/// An image.
pub struct Image {
    /// Its name and its tag, with a colon between.
    pub name: String,
    /// Its files.
    pub files: Vec<Packed>,
    /// The program that runs; none, where whoever runs the image says which.
    pub entrypoint: Option<String>,
    /// When it was made, in RFC 3339: of what it is made of, not now.
    pub created: String,
    /// Labels, each with its value.
    pub labels: Vec<(String, String)>,
}

/// The unprivileged user that it runs as.
const USER: &str = "65532:65532";

impl Image {
    /// Packs it into an OCI layout, which is a folder.
    pub fn pack(&self, layout: &Path) {
        let work = tempfile::tempdir().expect("a folder for its files");
        let root = work.path().join("root");
        for file in &self.files {
            let to = root.join(&file.to);
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder of the image");
            must(Command::new("cp").arg(&file.from).arg(&to));
        }
        let layer = work.path().join("layer.tar");
        tar(&root, &layer);
        let (_, tag) = self.name.split_once(':').expect("name:tag");
        let image = format!("{}:{tag}", layout.display());
        umoci(&["init", "--layout", &layout.display().to_string()]);
        umoci(&["new", "--image", &image]);
        let history = [
            "--history.created",
            &self.created,
            "--history.created_by",
            "make image",
        ];
        let layer = layer.display().to_string();
        umoci(
            &[
                &["raw", "add-layer", "--image", &image][..],
                &history,
                &[&layer],
            ]
            .concat(),
        );
        let architecture = architecture();
        let mut config = vec![
            "config",
            "--image",
            &image,
            "--no-history",
            "--created",
            &self.created,
        ];
        config.extend([
            "--os",
            "linux",
            "--architecture",
            architecture,
            "--config.user",
            USER,
        ]);
        if let Some(entrypoint) = &self.entrypoint {
            config.extend(["--config.entrypoint", entrypoint]);
        }
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        config.extend(labels.iter().flat_map(|label| ["--config.label", label]));
        umoci(&config);
        umoci(&["gc", "--layout", &layout.display().to_string()]);
        self.name_it(layout);
    }

    /// Packs it into one file, an OCI archive, as podman, skopeo, kind and Docker from version 25 on read it.
    pub fn archive(&self, file: &Path) {
        let layout = tempfile::tempdir().expect("a folder for the image");
        let layout = layout.path().join("layout");
        self.pack(&layout);
        tar(&layout, file);
    }

    /// umoci notes the tag alone; containerd and Docker want the whole name where they load an image.
    fn name_it(&self, layout: &Path) {
        let index = layout.join("index.json");
        let text = fs::read_to_string(&index).expect("the index");
        let mut told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let notes = &mut told["manifests"][0]["annotations"];
        notes["io.containerd.image.name"] = format!("docker.io/library/{}", self.name).into();
        fs::write(&index, told.to_string()).expect("the index");
    }
}

/// The architecture in the words of an image.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Nothing of this machine is in the archive: neither its users, nor its modes, nor its clock.
fn tar(folder: &Path, archive: &Path) {
    let flags = [
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ];
    let mut tar = Command::new("tar");
    tar.args(flags)
        .args(["--mode=u=rwX,go=rX", "-cf"])
        .arg(archive);
    must(tar.arg("-C").arg(folder).arg("."));
}

fn umoci(words: &[&str]) {
    must(Command::new(parts::umoci()).args(words));
}

fn must(command: &mut Command) {
    let done = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
}
