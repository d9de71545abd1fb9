//! Lives of logs and groups against an oracle: whatever happens to topics, leaders, transactions, commits and permissions, no
//! whole reading is below the truth, nothing scales in because of what is missing, and three ticks after the last fault each
//! reading is right again. A failing life prints itself, as short as it can be made.
//!
//! `cargo test --test model` lives some thousands; `cargo test --release --test model -- --ignored` a million, with a seed that
//! it prints. `LAGSCALE_LIVES` and `LAGSCALE_SEED` say how many and which.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod life;
mod truth;
mod watched;
mod world;

use std::time::{Duration, Instant};

use life::{Life, lives};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use world::{Broken, Climate, live};

/// Lives on one cluster.
const TOGETHER: usize = 500;
/// Tries at making a failing life shorter, and how long they may take.
const SHRINKS: usize = 100;
const SHRINKING: Duration = Duration::from_secs(90);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Lives so many; panics with the first broken one.
async fn all(count: usize, seed: u64, described: bool) {
    let climate = if described {
        Climate::BRISK
    } else {
        Climate::LAZY
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = lives(described);
    let mut left = count;
    while left > 0 {
        let some = left.min(TOGETHER);
        let mut trees: Vec<_> = (0..some)
            .map(|_| strategy.new_tree(&mut runner).unwrap())
            .collect();
        let together: Vec<Life> = trees.iter().map(ValueTree::current).collect();
        if let Some(broken) = live(&together, climate).await {
            let tree = trees.swap_remove(broken.life);
            let (life, how) = shortest(tree, broken, climate).await;
            panic!("seed {seed}: {how}\n{life:#?}");
        }
        left -= some;
    }
}

/// The shortest form of a broken life that is found, and how it is broken.
async fn shortest(
    mut tree: impl ValueTree<Value = Life>,
    broken: Broken,
    climate: Climate,
) -> (Life, String) {
    eprintln!("broken: {}", broken.how);
    let mut found = (tree.current(), format!("beside others: {}", broken.how));
    let begun = Instant::now();
    for _ in 0..SHRINKS {
        if begun.elapsed() > SHRINKING {
            break;
        }
        let again = live(&[tree.current()], climate).await;
        let goes_on = match again {
            Some(broken) => {
                found = (tree.current(), broken.how);
                tree.simplify()
            }
            None => tree.complicate(),
        };
        if !goes_on {
            break;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reading_of_every_life_is_within_its_promise() {
    let count = number("LAGSCALE_LIVES").unwrap_or(1_500);
    all(
        usize::try_from(count).unwrap(),
        number("LAGSCALE_SEED").unwrap_or(1),
        true,
    )
    .await;
}

/// Nothing but a reading itself calls for a description here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_is_found_by_what_it_does_to_readings() {
    let count = number("LAGSCALE_LIVES").unwrap_or(1_000);
    all(
        usize::try_from(count).unwrap(),
        number("LAGSCALE_SEED").unwrap_or(2),
        false,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes hours: cargo test --release --test model -- --ignored"]
async fn a_million_lives() {
    let seed = number("LAGSCALE_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("LAGSCALE_SEED={seed}");
    let count = usize::try_from(number("LAGSCALE_LIVES").unwrap_or(1_000_000)).unwrap();
    all(count / 2, seed, true).await;
    all(count / 2, seed, false).await;
}
