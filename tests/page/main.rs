//! The status page over three thousand objects that nobody made, as a real headless Chromium shows it, and as a stranger asks for it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::{sync::Arc, time::Duration};

use bed::{Browser, get};
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::runtime::{
    reflector::{self, store::Writer},
    watcher::Event,
};
use lagscale::{
    controller::Questions,
    page::{self, Sources},
    resources::ScaledObject,
    scaling::table::{Entry, Outcome, Owner, Table},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

const OBJECTS: usize = 3_000;
/// A text that would be a script if it were markup.
const HOSTILE: &str = "<img src=x onerror=\"document.title='broken into'\">";

fn name(number: usize) -> String {
    format!("orders-{number:04}")
}

/// Objects of which number 7 is wrong, number 8 is withheld and every hundredth has work.
fn object(number: usize) -> Value {
    let told = |kind: &str, yes: bool, message: &str| {
        let status = if yes { "True" } else { "False" };
        json!({"type": kind, "status": status, "reason": "r", "message": message})
    };
    let ready = if number == 7 {
        told("Ready", false, HOSTILE)
    } else {
        told("Ready", true, "")
    };
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": name(number), "namespace": "shop"},
        "spec": {"scaleTargetRef": {"name": name(number)}, "triggers": []},
        "status": {"conditions": [ready, told("Active", number.is_multiple_of(100), "")]},
    })
}

fn hpa(number: usize) -> Value {
    json!({
        "metadata": {"name": format!("keda-hpa-{}", name(number)), "namespace": "shop"},
        "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": name(number)}},
        "status": {"currentReplicas": number % 5, "desiredReplicas": number % 5},
    })
}

fn fill<K>(writer: &mut Writer<K>, objects: impl Iterator<Item = Value>)
where
    K: DeserializeOwned + kube::Resource<DynamicType = ()> + Clone + 'static,
{
    writer.apply_watcher_event(&Event::Init);
    for object in objects {
        let object = serde_json::from_value(object).unwrap();
        writer.apply_watcher_event(&Event::InitApply(object));
    }
    writer.apply_watcher_event(&Event::InitDone);
}

/// A page over `count` objects, until the sender is dropped.
async fn served(count: usize) -> (String, watch::Sender<bool>) {
    let (objects, mut object_writer) = reflector::store::<ScaledObject>();
    let (hpas, mut hpa_writer) = reflector::store::<HorizontalPodAutoscaler>();
    fill(&mut object_writer, (0..count).map(object));
    fill(&mut hpa_writer, (0..count).map(hpa));
    let table = Arc::new(Table::default());
    for number in 0..count {
        let milli = i64::try_from(number).unwrap() * 1_000;
        let value = Outcome::Value {
            milli,
            at: Timestamp::now(),
        };
        let outcome = if number == 8 {
            Outcome::Withheld("no leader".into())
        } else {
            value
        };
        let owner = Owner::ScaledObject(name(number).into());
        let metric = format!("s0-kafka-{}", name(number)).into();
        table.replace(
            "shop",
            &[],
            &[Entry {
                metric,
                owner,
                outcome,
            }],
        );
    }
    let sources = Sources {
        objects,
        hpas,
        table,
        samples: Arc::default(),
        questions: Questions::unanswered(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (end, ending) = watch::channel(false);
    tokio::spawn(page::serve(listener, sources, ending));
    (address, end)
}

async fn rows(browser: &Browser) -> Value {
    let script = "return [...document.querySelectorAll('#rows a')].map(a => a.textContent)";
    browser.script(script).await
}

async fn count(browser: &Browser) -> Value {
    let script = "return document.getElementById('count').textContent";
    browser.script(script).await
}

#[tokio::test]
async fn three_thousand_objects_are_searched_sorted_and_paged_with_mouse_and_keyboard() {
    let (address, _end) = served(OBJECTS).await;
    let browser = Browser::open().await;
    browser.go(&format!("http://{address}/")).await;
    browser
        .until("return document.querySelectorAll('#rows tr').length === 50")
        .await;
    assert_eq!(count(&browser).await, "1 to 50 of 3000");
    let first = rows(&browser).await;
    assert_eq!(
        (&first[0], &first[1], &first[2]),
        (
            &json!("shop/orders-0007"),
            &json!("shop/orders-0008"),
            &json!("shop/orders-0000")
        ),
        "what is in trouble comes first, then what has work"
    );
    assert_eq!(browser.script("return document.title").await, "lagscale");
    let hostile = "return document.querySelector('#rows tr td:last-child').textContent";
    assert_eq!(browser.script(hostile).await, HOSTILE);

    // A line that stays is the one that was there, so that no click on it is lost.
    let mark = "window.line = document.querySelector('#rows tr'); window.at = document.getElementById('age').textContent";
    browser.script(mark).await;
    browser
        .until("return document.getElementById('age').textContent !== window.at")
        .await;
    let same = "return window.line === document.querySelector('#rows tr')";
    assert_eq!(browser.script(same).await, true);

    browser.click("th[data-key=value] button").await;
    let first = rows(&browser).await;
    assert_eq!(
        (&first[0], &first[1]),
        (&json!("shop/orders-0008"), &json!("shop/orders-2999")),
        "what is withheld is above every number"
    );
    let sorted = "return document.querySelector('th[aria-sort]').getAttribute('aria-sort')";
    assert_eq!(browser.script(sorted).await, "descending");
    browser.click("th[data-key=value] button").await;
    assert_eq!(rows(&browser).await[0], "shop/orders-0000");
    assert_eq!(browser.script(sorted).await, "ascending");

    browser.click("#next").await;
    assert_eq!(count(&browser).await, "51 to 100 of 3000");
    let (left, right) = ('\u{e012}', '\u{e014}');
    browser.script("document.activeElement.blur()").await;
    browser.press(&format!("{right}{right}{left}")).await;
    assert_eq!(count(&browser).await, "101 to 150 of 3000");

    browser.press("/orders-299").await;
    assert_eq!(count(&browser).await, "1 to 10 of 10 (of 3000)");
    browser.press("9").await;
    assert_eq!(rows(&browser).await, json!(["shop/orders-2999"]));
    let (tab, enter, escape) = ('\u{e004}', '\u{e007}', '\u{e00c}');
    // Past the choice and the five heads.
    browser.press(&tab.to_string().repeat(7)).await;
    browser.press(&enter.to_string()).await;
    browser
        .until("return document.querySelector('h2')?.textContent === 'shop/orders-2999'")
        .await;
    let drawn = "return document.querySelector('figure svg').getAttribute('aria-label')";
    let label = browser.script(drawn).await;
    assert_eq!(label, "Consumers: replicas now 4, bound now 5");
    browser.press(&escape.to_string()).await;
    browser
        .until("return document.querySelectorAll('#rows tr').length === 1")
        .await;
    let none: Vec<String> = Vec::new();
    assert_eq!(browser.errors().await, none);
}

#[tokio::test]
async fn the_page_fits_a_telephone_and_follows_dark_and_light() {
    let (address, _end) = served(120).await;
    let browser = Browser::open().await;
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let mut grounds = Vec::new();
    for (path, there) in [("", "#rows tr"), ("#/shop/orders-0007", "figure svg")] {
        for (width, dark) in [(320, false), (320, true), (1280, true), (1280, false)] {
            browser.size(width, dark).await;
            browser.go("about:blank").await;
            browser.go(&format!("http://{address}/{path}")).await;
            browser
                .until(&format!(
                    "return document.querySelector('{there}') !== null"
                ))
                .await;
            let wide = "return [innerWidth, document.documentElement.scrollWidth - document.documentElement.clientWidth]";
            assert_eq!(browser.script(wide).await, json!([width, 0]), "{path}");
            grounds.push((dark, browser.script(ground).await));
        }
    }
    let of = |dark| grounds.iter().filter(move |g| g.0 == dark).map(|g| &g.1);
    assert!(of(true).all(|ground| ground == "rgb(20, 23, 28)"));
    assert!(of(false).all(|ground| ground == "rgb(255, 255, 255)"));
}

#[tokio::test]
async fn the_page_says_how_old_its_numbers_are_once_nobody_answers() {
    let (address, end) = served(1).await;
    let browser = Browser::open().await;
    browser.go(&format!("http://{address}/")).await;
    browser
        .until("return document.querySelectorAll('#rows tr').length === 1")
        .await;
    end.send_replace(true);
    browser
        .until("return document.getElementById('age').textContent.startsWith('no answer since')")
        .await;
    assert_eq!(rows(&browser).await, json!(["shop/orders-0000"]));
}

#[tokio::test]
async fn only_who_names_a_loopback_address_is_answered_and_nothing_can_be_changed() {
    let (address, _end) = served(2).await;
    let (code, body) = get(&address, "/objects").await;
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, told.as_array().unwrap().len()), (200, 2));
    let (code, body) = get(&address, "/objects/shop/orders-0001").await;
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, &told["row"]["maxReplicas"]), (200, &json!(5)));
    for path in [
        "/objects/shop/nobody",
        "/objects/other/orders-0001",
        "/metrics",
        "/page.html",
    ] {
        assert_eq!(get(&address, path).await.0, 404, "{path}");
    }
    let port = address.rsplit_once(':').unwrap().1;
    for (host, code) in [
        (format!("localhost:{port}"), "200"),
        (format!("[::1]:{port}"), "200"),
        ("127.0.0.1".to_owned(), "200"),
        ("attacker.example".to_owned(), "403"),
        (format!("127.0.0.1.attacker.example:{port}"), "403"),
        ("10.0.0.1".to_owned(), "403"),
        (String::new(), "403"),
    ] {
        let answer = raw(
            &address,
            &format!("GET /objects HTTP/1.1\r\nHost: {host}\r\n"),
        )
        .await;
        assert_eq!(answer.split(' ').nth(1), Some(code), "{host}");
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(header), "{answer}");
        }
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = format!("{method} /objects/shop/orders-0001 HTTP/1.1\r\nHost: localhost\r\n");
        let answer = raw(&address, &request).await;
        assert_eq!(answer.split(' ').nth(1), Some("405"), "{method}");
    }
}

/// The answer to a request of these first lines.
async fn raw(address: &str, head: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{head}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(30), read).await;
    read.expect("the answer to end").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
