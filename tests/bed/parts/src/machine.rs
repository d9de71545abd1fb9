//! Programs of the machine: where there is none, Debian's package is taken, if that is possible.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::cached;

/// Where the programs of a browser are.
#[derive(Clone)]
pub struct Browser {
    /// Chromium.
    pub chromium: PathBuf,
    /// Its driver.
    pub driver: PathBuf,
}

/// The machine's browser; it is installed by root where there is none, since it is a hundred packages.
pub fn browser() -> Browser {
    static FOUND: OnceLock<Browser> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let installed = || {
            eprintln!("bed: installing Chromium and its driver");
            let packages = ["chromium", "chromium-driver"];
            let install = ["install", "-q", "-y", "--no-install-recommends"];
            apt(&["update", "-q"], Path::new("/"))?;
            apt(&[&install[..], &packages].concat(), Path::new("/"))?;
            found_browser()
        };
        found_browser().or_else(installed).unwrap_or_else(|| {
            panic!("no browser: install Chromium and its driver (Debian: apt-get install chromium chromium-driver), or set CHROMIUM and CHROMEDRIVER")
        })
    });
    found.clone()
}

fn found_browser() -> Option<Browser> {
    Some(Browser {
        chromium: named(
            "CHROMIUM",
            &["chromium", "chromium-browser", "google-chrome"],
        )?,
        driver: named("CHROMEDRIVER", &["chromedriver"])?,
    })
}

/// The machine's Prometheus, or the one in Debian's package.
pub fn prometheus() -> PathBuf {
    let of_machine = named("PROMETHEUS", &["prometheus"]);
    of_machine.unwrap_or_else(|| unpacked("prometheus").join("usr/bin/prometheus"))
}

/// The machine's runc, or the one in Debian's package.
pub fn runc() -> PathBuf {
    named("RUNC", &["runc"]).unwrap_or_else(|| unpacked("runc").join("usr/sbin/runc"))
}

/// A package of Debian's, unpacked and not installed: that might start what is in it.
fn unpacked(package: &str) -> PathBuf {
    cached(&format!("{package}-debian"), |dir| {
        eprintln!("bed: unpacking Debian's package {package}");
        let download = || apt(&["download", "-q", package], dir);
        let got = download().or_else(|| apt(&["update", "-q"], dir).and_then(|()| download()));
        let files = fs::read_dir(dir).expect("the folder");
        let mut files = files.map(|entry| entry.expect("a file of it").path());
        let file = files.find(|file| file.extension().is_some_and(|e| e == "deb"));
        let unpacked = got.and(file).and_then(|file| {
            let mut unpack = Command::new("dpkg-deb");
            let done = unpack.arg("-x").arg(file).arg(dir).status();
            done.ok()?.success().then_some(())
        });
        assert!(
            unpacked.is_some(),
            "no {package}: install it (Debian: apt-get install {package}), or name the program in {}",
            package.to_uppercase()
        );
    })
}

/// The program that a variable names, or the first of these names.
fn named(variable: &str, names: &[&str]) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from);
    set.or_else(|| names.iter().find_map(|name| on_path(name)))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|file| file.is_file())
}

/// Works on Debian and what comes of it.
fn apt(words: &[&str], folder: &Path) -> Option<()> {
    let mut command = Command::new("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.status().ok()?.success().then_some(())
}
