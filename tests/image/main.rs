//! The image that `make image` packs: of the same files the same digest, and it runs under a real runc as pod security "restricted" wants
//! it. `make static` builds the binary, and `make test` with it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use bed::{Image, Packed, parts};
use serde_json::{Value, json};

const CREATED: &str = "2026-11-30T00:00:00Z";
/// System calls that container runtimes refuse by default, since a container has no use for them.
const REFUSED: [&str; 22] = [
    "acct",
    "add_key",
    "bpf",
    "delete_module",
    "finit_module",
    "init_module",
    "ioperm",
    "iopl",
    "kexec_load",
    "keyctl",
    "mount",
    "open_by_handle_at",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "ptrace",
    "reboot",
    "setns",
    "swapon",
    "umount2",
    "unshare",
    "userfaultfd",
];

/// The image of the static binary.
fn image() -> Image {
    let license = Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE");
    let packed = |from: PathBuf, to: &str| Packed {
        from,
        to: to.to_owned(),
    };
    Image {
        name: "lagscale:0.1.0".to_owned(),
        files: vec![
            packed(bed::shipped(), "lagscale"),
            packed(license, "licenses/LICENSE"),
        ],
        entrypoint: Some("/lagscale".to_owned()),
        created: CREATED.to_owned(),
        labels: vec![(
            "org.opencontainers.image.title".to_owned(),
            "lagscale".to_owned(),
        )],
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The blob that a descriptor leads to.
fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
    layout.join("blobs").join(digest)
}

#[test]
fn of_the_same_files_it_has_the_same_digest_and_it_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let layouts = ["first", "second"].map(|name| folder.path().join(name));
    for layout in &layouts {
        image().pack(layout);
    }
    let [index, again] = layouts
        .each_ref()
        .map(|layout| read(&layout.join("index.json")));
    assert_eq!(index, again);
    let [found] = &index["manifests"].as_array().unwrap()[..] else {
        panic!("one image: {index}");
    };
    let annotations = json!({
        "org.opencontainers.image.ref.name": "0.1.0",
        "io.containerd.image.name": "docker.io/library/lagscale:0.1.0",
    });
    assert_eq!(found["annotations"], annotations);
    let manifest = read(&blob(&layouts[0], found));
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let config = read(&blob(&layouts[0], &manifest["config"]));
    assert_eq!(
        (&config["os"], &config["created"]),
        (&json!("linux"), &json!(CREATED))
    );
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], json!(["/lagscale"]));
    let title = &config["config"]["Labels"]["org.opencontainers.image.title"];
    assert_eq!(title, "lagscale");
    let files = fs::read_dir(layouts[0].join("blobs/sha256"))
        .unwrap()
        .count();
    assert_eq!(files, 3, "layer, configuration, manifest");
}

#[test]
fn it_runs_under_runc_as_nobody_on_a_root_that_can_t_be_written_without_capabilities() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, bundle) = (folder.path().join("layout"), folder.path().join("bundle"));
    image().pack(&layout);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut unpack = Command::new(parts::umoci());
    unpack.args(["unpack", "--image", &format!("{}:0.1.0", layout.display())]);
    unpack.args((!is_root).then_some("--rootless")).arg(&bundle);
    assert!(unpack.status().unwrap().success());
    let file = bundle.join("config.json");
    let mut config = read(&file);
    config["root"]["readonly"] = true.into();
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": REFUSED, "action": "SCMP_ACT_ERRNO"}],
    });
    let process = &mut config["process"];
    if is_root {
        let user = json!({"uid": 65532, "gid": 65532});
        assert_eq!(process["user"], user, "the image's own");
    } else {
        // Nobody else is mapped into the user namespace of somebody without a right.
        process["user"] = json!({"uid": 0, "gid": 0});
    }
    process["terminal"] = false.into();
    process["noNewPrivileges"] = true.into();
    for (_, kept) in process["capabilities"].as_object_mut().unwrap() {
        *kept = json!([]);
    }
    process["args"] = json!(["/lagscale", "crds"]);
    fs::write(&file, config.to_string()).unwrap();
    let mut run = Command::new(parts::runc());
    run.arg("--root").arg(folder.path().join("state"));
    run.args(["run", "--bundle"]).arg(&bundle);
    run.arg(format!("lagscale-{}", std::process::id()));
    let done = run.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/base/crds.yaml");
    assert_eq!(done.stdout, fs::read(crds).unwrap());
}
