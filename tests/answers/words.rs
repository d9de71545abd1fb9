//! Words that people write and others say, spoilt a little and multiplied: `fuzz/specs.rs` counts what each costs.

use std::fs;

use crate::{corpora::directory, take::take};

/// As long as a fuzz target's input.
const LONGEST: usize = 64 << 10;
/// Cases of each file.
const VARIANTS: u64 = 150;

/// Words that parsers look for.
const WORDS: [&str; 20] = [
    ",", "(", ")", "[", "]", "{", "}", "*", "\\w", "{99}", "0-99999,", "=", "\n", "\"", "\u{e9}",
    "-", "9", "|", ".*", "\0",
];

/// `text` with three changes, the same for the same `seed`.
fn spoilt(text: &[u8], seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = text.to_vec();
    for _ in 0..3 {
        let (from, to) = (random.usize(..=text.len()), random.usize(..=text.len()));
        let (from, to) = (from.min(to), from.max(to));
        match random.u8(..5) {
            0 => drop(text.drain(from..to)),
            1 => {
                let piece = text[from..to].to_vec();
                let times = random.usize(1..2_000).min(LONGEST / piece.len().max(1));
                text.splice(to..to, piece.repeat(times));
            }
            2 => {
                let word = WORDS[random.usize(..WORDS.len())].repeat(random.usize(1..5_000));
                text.splice(from..from, word.into_bytes());
            }
            3 => text
                .iter_mut()
                .skip(from)
                .take(1)
                .for_each(|byte| *byte = random.u8(..)),
            _ => {
                let word = WORDS[random.usize(..WORDS.len())];
                text.splice(from..to, word.bytes());
            }
        }
        text.truncate(LONGEST);
    }
    text
}

#[test]
fn what_is_written_costs_its_size_however_it_is_spoilt() {
    let mut tried = 0;
    for target in fs::read_dir(directory()).unwrap() {
        let target = target.unwrap();
        for file in fs::read_dir(target.path()).unwrap() {
            let text = fs::read(file.unwrap().path()).unwrap();
            if std::str::from_utf8(&text).is_err() {
                continue;
            }
            for seed in 0..VARIANTS {
                let _ = take(target.file_name().to_str().unwrap(), &spoilt(&text, seed));
                tried += 1;
            }
        }
    }
    assert!(tried > 3_000, "{tried}");
}
