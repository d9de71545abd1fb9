//! The reference's end-to-end scenarios (tests/cases/reference.yaml) on real parts, each row under its id; `LAGSCALE_CASES`
//! names another file of the same format. Rows with steps are read from the data, rows in prose are bound by id.
//! A source we don't have is a kafka trigger whose lag is set; holds last a third of a row's seconds, as the bed's HPAs look
//! more often than every 15 s; times of a polling row are divided by [`core::FASTER`].
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::large_futures,
    reason = "test code without #[test]"
)]

mod core;
mod fallback;
mod kafka;
mod modifiers;
#[allow(dead_code, reason = "tests/e2e uses the rest of it")]
#[path = "../e2e/scene.rs"]
mod scene;
#[allow(dead_code, reason = "tests/e2e uses the rest of it")]
#[path = "../e2e/world.rs"]
mod world;

use std::{collections::BTreeMap, fs, path::Path, pin::Pin, sync::Arc};

use bed::BedOptions;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use tokio::{runtime::Runtime, sync::OnceCell};
use world::World;

/// A row, played.
type Play<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
type Code = for<'a> fn(&'a World, &'a Value) -> Play<'a>;

/// The player of a row, under which names.
fn code(section: &str, row: &Value) -> Vec<(&'static str, Code)> {
    match section {
        "e2e_kafka" if row["steps"].is_array() => vec![
            ("kafka", |world, row| {
                Box::pin(kafka::play(world, row, "kafka"))
            }),
            ("apache-kafka", |world, row| {
                Box::pin(kafka::play(world, row, "apache-kafka"))
            }),
        ],
        "scaling_modifiers" => vec![("", |world, row| Box::pin(modifiers::play(world, row)))],
        "e2e_core" => core::code(row["id"].as_str().unwrap_or_default()),
        _ => Vec::new(),
    }
}

fn main() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(64);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/reference.yaml");
    let file = std::env::var_os("LAGSCALE_CASES").map_or(own, Into::into);
    let text = fs::read_to_string(&file).unwrap();
    let sections: BTreeMap<String, Value> = serde_saphyr::from_str(&text).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let stage = Stage {
        runtime: Arc::new(runtime.unwrap()),
        world: Arc::default(),
    };
    let mut trials = Vec::new();
    for section in ["e2e_kafka", "e2e_core", "scaling_modifiers"] {
        let rows = sections.get(section).and_then(Value::as_array).cloned();
        for (number, row) in rows.unwrap_or_default().into_iter().enumerate() {
            let id = row["id"].as_str().map(str::to_owned);
            let id = id.unwrap_or_else(|| format!("{section}#{number}"));
            let plays = code(section, &row);
            if plays.is_empty() {
                eprintln!("no code: {id}");
            }
            for (variant, code) in plays {
                let name = format!("{id} {variant}");
                trials.push(stage.trial(name.trim_end(), code, row.clone()));
            }
        }
    }
    let conclusion = libtest_mimic::run(&args, trials);
    let _inside = stage.runtime.enter();
    if let Some(world) = Arc::into_inner(stage.world).and_then(OnceCell::into_inner) {
        let World { mut bed, lagscale } = world;
        drop(lagscale);
        if conclusion.has_failed() {
            eprintln!("logs are kept in {}", bed.keep().display());
        }
    }
    conclusion.exit()
}

/// The bed of all rows; starts with the first.
struct Stage {
    runtime: Arc<Runtime>,
    world: Arc<OnceCell<World>>,
}

impl Stage {
    fn trial(&self, name: &str, code: Code, row: Value) -> Trial {
        let (runtime, world) = (self.runtime.clone(), self.world.clone());
        Trial::test(name, move || {
            let play = || {
                runtime.block_on(async {
                    let start = || World::start(BedOptions::default(), &["--max-sample-age=10"]);
                    code(world.get_or_init(start).await, &row).await;
                });
            };
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(play));
            done.map_err(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Failed::from(text.unwrap_or("panicked").to_owned())
            })
        })
    }
}
