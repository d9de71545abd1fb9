//! Memory of an answer, which does not depend on how many metrics there are.

use allocation_counter::measure;
use tokio::runtime::Builder;

use crate::rig::{MASTERS, Rig};

const ASKED: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/s0-kafka-orders\
    ?labelSelector=scaledobject.keda.sh%2Fname%3Dorders-7";

/// How often memory is taken for a hundred answers, by the server and its client on this thread.
fn taken_with(metrics: usize) -> u64 {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (_rig, proxy) = runtime.block_on(async {
        let rig = Rig::start().await;
        for i in 0..metrics {
            let object = format!("orders-{i}");
            let namespace = if i < 10 { "shop" } else { "other" };
            let metric = if i < 10 {
                "s0-kafka-orders".to_owned()
            } else {
                format!("s0-kafka-{i}")
            };
            rig.value(namespace, &metric, &object, 5_000);
        }
        let proxy = rig.front_proxy().await;
        // Documents that are built once are built now.
        assert_eq!(proxy.get(ASKED, &MASTERS).await.code, 200);
        (rig, proxy)
    });
    let info = measure(|| {
        runtime.block_on(async {
            for _ in 0..100 {
                assert_eq!(proxy.get(ASKED, &MASTERS).await.code, 200);
            }
        });
    });
    info.count_total
}

#[test]
fn serving_allocates_nothing_for_the_other_metrics_of_the_table() {
    let (few, many) = (taken_with(10), taken_with(3_000));
    // A single allocation for each of them would be 299 000 more; what frames and timers take differs by a few.
    assert!(many < few + 1_000, "{few} with 10, {many} with 3 000");
}
