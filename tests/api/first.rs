//! The rig itself: the front proxy gets a value, and the cluster was asked whether it may.

use http::StatusCode;

use crate::rig::{MASTERS, Rig, user};

#[tokio::test]
async fn the_front_proxy_gets_a_value_for_a_user_whom_the_cluster_lets_in() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-orders", "orders", 1_500_000);
    let proxy = rig.front_proxy().await;
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/s0-kafka-orders?labelSelector=scaledobject.keda.sh%2Fname%3Dorders";
    for headers in [MASTERS.to_vec(), user("alice", &["devs"])] {
        let answer = proxy.get(path, &headers).await;
        assert_eq!(answer.code, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.json()["items"][0]["value"], "1500");
    }
    let asked = rig.cluster.access_reviews();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0]["spec"]["user"], "alice");
}
