//! Packs static programs into an OCI archive: `make image`, `make sample-image`.
#![allow(clippy::print_stdout, reason = "what it is for")]
#![allow(clippy::expect_used, reason = "an image that can't be made is said")]

use std::{fs, path::PathBuf};

use bed::{Image, Packed};
use clap::Parser;

/// An image without a daemon.
#[derive(Parser)]
struct Args {
    /// Its name and tag.
    #[arg(long)]
    name: String,
    /// The archive to write.
    #[arg(long)]
    to: PathBuf,
    /// A file and its path in the image, with a colon between.
    #[arg(long = "file", value_parser = packed)]
    files: Vec<Packed>,
    /// The program that runs.
    #[arg(long)]
    entrypoint: Option<String>,
    /// The time of what it is made of, in RFC 3339.
    #[arg(long, default_value = "1970-01-01T00:00:00Z")]
    created: String,
    /// A label, key=value.
    #[arg(long = "label", value_parser = label)]
    labels: Vec<(String, String)>,
}

fn packed(text: &str) -> Result<Packed, String> {
    let (from, to) = text.rsplit_once(':').ok_or("expected file:path")?;
    Ok(Packed {
        from: from.into(),
        to: to.trim_start_matches('/').to_owned(),
    })
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn main() {
    let args = Args::parse();
    let image = Image {
        name: args.name,
        files: args.files,
        entrypoint: args.entrypoint,
        created: args.created,
        labels: args.labels,
    };
    if let Some(folder) = args.to.parent() {
        fs::create_dir_all(folder).expect("a folder for the archive");
    }
    image.archive(&args.to);
    println!("{} is {}", args.to.display(), image.name);
}
