//! Selectors that apimachinery writes and reads, as recorded from it (`vectors/`), asked of our server over its socket.

use http::StatusCode;
use lagscale::{
    quantity::format_milli,
    scaling::table::{Outcome, Owner},
};

use crate::rig::{MASTERS, READ, Rig};

const QUANTITIES: &str = include_str!("vectors/quantities.txt");
const SELECTORS: &str = include_str!("vectors/selectors.txt");
const LAG: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag";

#[test]
fn a_quantity_is_written_as_apimachinery_writes_it() {
    let mut checked = 0;
    for line in QUANTITIES.lines() {
        let (given, rest) = line.split_once(" -> ").unwrap();
        let text: String = serde_json::from_str(rest.split_once(" milli=").unwrap().0).unwrap();
        let milli = match given.strip_suffix('m') {
            Some(milli) => Some(milli.parse().unwrap()),
            // Some units have no thousandths in 64 bits, so no value here can be one.
            None => given.parse::<i64>().unwrap().checked_mul(1000),
        };
        let Some(milli) = milli else { continue };
        assert_eq!(format_milli(milli), text, "{given}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked}");
}

#[tokio::test]
async fn a_selector_is_taken_or_refused_in_the_words_of_apimachinery() {
    let rig = Rig::start().await;
    rig.serve(
        "shop",
        "lag",
        Owner::Topic("a".into()),
        Outcome::Value {
            milli: 1_000,
            at: READ.parse().unwrap(),
        },
    );
    let proxy = rig.front_proxy().await;
    let mut refused = 0;
    for line in SELECTORS.lines() {
        let (given, result) = line.split_once(" -> ").unwrap();
        let given: String = serde_json::from_str(given).unwrap();
        let selector: String = form_urlencoded::byte_serialize(given.as_bytes()).collect();
        let path = format!("{LAG}?labelSelector={selector}");
        let answer = proxy.get(&path, &MASTERS).await;
        match result.strip_prefix("ERR ") {
            Some(said) => {
                assert_eq!(answer.code, StatusCode::BAD_REQUEST, "{given}: {answer:?}");
                assert_eq!(answer.json()["reason"], "BadRequest", "{given}");
                assert_eq!(answer.json()["message"], said, "{given}");
                refused += 1;
            }
            None => assert_ne!(answer.code, StatusCode::BAD_REQUEST, "{given}: {answer:?}"),
        }
    }
    assert!(refused >= 20, "{refused}");
}
