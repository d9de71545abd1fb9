//! The status page of a real lagscale, as a real headless Chromium shows it.

use std::{path::Path, sync::LazyLock};

use bed::Browser;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{Shared, scene::Scene, world::World};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "the status page shows all objects, and one with its last hour, its partitions and its reasons",
        shows,
    )]
}

/// Where the shared lagscale serves it.
pub fn address() -> &'static str {
    static ADDRESS: LazyLock<String> = LazyLock::new(|| format!("127.0.0.1:{}", bed::free_port()));
    &ADDRESS
}

async fn shows(world: &World) {
    let scene = Scene::new(&world.bed, "page").await;
    let (topic, _observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    let metric = format!("s0-kafka-{topic}");
    scene.value_is("app", &metric, "12").await;
    let browser = Browser::open().await;
    browser.go(&format!("http://{}/", address())).await;
    let object = format!("{}/app", scene.namespace);
    browser
        .until("return document.getElementById('search') !== null")
        .await;
    browser.press(&format!("/{object}")).await;
    let links = "return [...document.querySelectorAll('#rows a')].map(a => a.textContent)";
    browser
        .until(&format!("{links}.join() === '{object}'"))
        .await;
    picture(&browser, "objects").await;
    browser.click("#rows a").await;
    browser
        .until("return document.querySelectorAll('figure').length === 2")
        .await;
    let label =
        "[...document.querySelectorAll('figure svg')].map(s => s.getAttribute('aria-label'))";
    browser
        .until(&format!("return {label}[0].includes('bound now 5')"))
        .await;
    browser
        .until(&format!(
            "return {label}[1] === '{metric}: lag, records now 12, signal, told to the HPA now 12'"
        ))
        .await;
    browser.until("return [...document.querySelectorAll('figure path.first')].every(p => p.getAttribute('d') !== '')").await;
    let bars = "return [...document.querySelectorAll('.bars li')].map(li => li.textContent)";
    assert_eq!(
        browser.script(bars).await,
        json!(["03", "13", "22", "32", "42"]),
        "partition and lag"
    );
    let told = browser
        .script("return document.getElementById('main').innerText")
        .await;
    let told = told.as_str().unwrap();
    for part in [
        &*format!("Partitions of {topic}, group g"),
        "Why it has these replicas",
        "Deployment/app",
        "maxReplicas is 5",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    picture(&browser, "object").await;
    assert_eq!(json!(browser.errors().await), Value::Array(Vec::new()));
}

/// A picture to look at, for docs too.
async fn picture(browser: &Browser, name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    browser
        .picture(&folder.join(format!("page-{name}.png")))
        .await;
}
