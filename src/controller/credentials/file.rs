//! A file of parameters: a JSON map below a root that only whoever runs lagscale can write to.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Read as _},
    path::{Component, Path},
    time::UNIX_EPOCH,
};

use crate::triggers::Parameters;

const LONGEST: u64 = 1 << 20;

/// The result of a read.
pub(super) enum Read {
    Same,
    Missing,
    /// Its version and its values.
    Brought(String, Parameters),
}

/// Reads `path` below `root` unless it still has the version `known`.
pub(super) fn read(root: &Path, path: &str, known: Option<&str>) -> Result<Read, String> {
    let components = Path::new(path).components();
    if !components
        .into_iter()
        .all(|c| matches!(c, Component::Normal(_)))
    {
        return Err("filePath must be relative and go nowhere up".into());
    }
    let failed = |error: std::io::Error| error.to_string();
    let root = root.canonicalize().map_err(failed)?;
    let real = match root.join(path).canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Read::Missing),
        real => real.map_err(failed)?,
    };
    if !real.starts_with(&root) {
        return Err("filePath leads out of --filepath-auth-root-path".into());
    }
    let about = fs::metadata(&real).map_err(failed)?;
    if !about.is_file() || about.len() > LONGEST {
        return Err(format!("expected a file of at most {LONGEST} bytes"));
    }
    let modified = about.modified().ok();
    let modified = modified.and_then(|m| m.duration_since(UNIX_EPOCH).ok());
    // A mounted volume changes by another folder behind the same link.
    let version = format!("{} {} {modified:?}", real.display(), about.len());
    if known == Some(&version) {
        return Ok(Read::Same);
    }
    let mut text = String::new();
    let file = File::open(&real).map_err(failed)?;
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(failed)?;
    // Its content is secret: the parser's own text may quote it.
    let values: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|e| {
        format!(
            "expected a JSON map of texts, it is not one at line {} column {}",
            e.line(),
            e.column()
        )
    })?;
    let values = values.into_iter().map(|(key, value)| (key, value.into()));
    Ok(Read::Brought(version, values.collect()))
}

#[cfg(test)]
mod tests {
    use std::{env, os::unix::fs::symlink};

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_file_is_read_below_its_root_only_and_again_when_it_changed() {
        let dir = env::temp_dir().join(format!("lagscale-file-{}", std::process::id()));
        let root = dir.join("root");
        fs::create_dir_all(root.join("team")).unwrap();
        fs::write(dir.join("outside.json"), r#"{"password": "theirs"}"#).unwrap();
        fs::write(root.join("team/kafka.json"), r#"{"password": "mine"}"#).unwrap();
        fs::write(root.join("list.json"), r#"["mine"]"#).unwrap();
        symlink(dir.join("outside.json"), root.join("link.json")).unwrap();
        symlink("team/kafka.json", root.join("inner.json")).unwrap();
        let password = |path: &str, known: Option<&str>| match read(&root, path, known) {
            Ok(Read::Brought(version, values)) => {
                Ok((version, values["password"].expose_secret().to_owned()))
            }
            Ok(Read::Same) => Err("same".into()),
            Ok(Read::Missing) => Err("missing".into()),
            Err(error) => Err(error),
        };
        let (version, value) = password("team/kafka.json", None).unwrap();
        assert_eq!(value, "mine");
        assert_eq!(password("inner.json", None).unwrap().1, "mine");
        let again = password("team/kafka.json", Some(&version));
        assert_eq!(again.unwrap_err(), "same");
        fs::write(root.join("team/kafka.json"), r#"{"password": "newer"}"#).unwrap();
        let again = password("team/kafka.json", Some(&version)).unwrap();
        assert_eq!(again.1, "newer");
        for (path, said) in [
            ("nowhere.json", "missing"),
            ("../outside.json", "go nowhere up"),
            ("team/../../outside.json", "go nowhere up"),
            ("link.json", "leads out of"),
            ("team", "expected a file"),
            ("list.json", "expected a JSON map of texts"),
        ] {
            let error = password(path, None).unwrap_err();
            assert!(error.contains(said), "{path}: {error}");
            assert!(!error.contains("mine"), "no secret is told: {error}");
        }
        let absolute = dir.join("outside.json").display().to_string();
        assert!(password(&absolute, None).unwrap_err().contains("relative"));
        fs::remove_dir_all(dir).unwrap();
    }
}
