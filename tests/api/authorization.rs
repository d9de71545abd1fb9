//! May they: what the API server is asked, how often, and what a client is told.

use http::StatusCode;
use serde_json::{Value, json};

use crate::rig::{MASTERS, Reply, Rig, user};

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/kafka-lag";

#[tokio::test]
async fn the_review_is_the_one_that_kube_apiserver_makes_for_the_same_request() {
    let rig = Rig::start().await;
    let proxy = rig.front_proxy().await;
    let alice = [
        user("alice", &["devs"]),
        vec![
            ("x-remote-uid", "u-1"),
            ("x-remote-extra-acme.com%2fproject", "p1"),
            ("x-remote-extra-acme.com%2fproject", "p2"),
        ],
    ]
    .concat();
    let path = format!("{PATH}?labelSelector=q%2C!r%2Cfoo%3Dbar%2Cn%3E5%2Cz+notin+%28b%2Ca%29");
    proxy.get(&path.replace("q%2C", ""), &alice).await;
    let review = &rig.cluster.access_reviews()[0];
    assert_eq!(
        review["spec"],
        json!({
            "resourceAttributes": {
                "namespace": "default", "verb": "list", "group": "external.metrics.k8s.io", "version": "v1beta1",
                "resource": "kafka-lag", "labelSelector": {"requirements": [
                    {"key": "foo", "operator": "In", "values": ["bar"]},
                    {"key": "r", "operator": "DoesNotExist"},
                    {"key": "z", "operator": "NotIn", "values": ["a", "b"]},
                ]},
            },
            "user": "alice", "groups": ["devs", "system:authenticated"],
            "extra": {"acme.com/project": ["p1", "p2"]}, "uid": "u-1",
        })
    );
    for (path, attributes) in [
        (
            format!("{PATH}?labelSelector=%3D"),
            json!({"namespace": "default", "verb": "list", "resource": "kafka-lag"}),
        ),
        (
            format!("{PATH}/x"),
            json!({"namespace": "default", "verb": "get", "resource": "kafka-lag", "name": "x"}),
        ),
        (
            format!("{PATH}?watch=true"),
            json!({"namespace": "default", "verb": "watch", "resource": "kafka-lag"}),
        ),
    ] {
        proxy.get(&path, &alice).await;
        let asked = rig.cluster.access_reviews();
        let mut found = asked.last().unwrap()["spec"]["resourceAttributes"].clone();
        for key in ["group", "version"] {
            found.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(found, attributes, "{path}");
    }
}

#[tokio::test]
async fn a_decision_is_remembered_for_its_user_and_request_alone() {
    let rig = Rig::start().await;
    rig.cluster
        .on_access(|review| Reply::Status(json!({"allowed": review["spec"]["user"] == "alice"})));
    let proxy = rig.front_proxy().await;
    for _ in 0..5 {
        for (name, code) in [("alice", 404), ("bob", 403)] {
            let answer = proxy.get(PATH, &user(name, &[])).await;
            assert_eq!(answer.code.as_u16(), code);
        }
    }
    assert_eq!(rig.cluster.access_reviews().len(), 2);
    proxy.get(&format!("{PATH}2"), &user("alice", &[])).await;
    proxy.get(PATH, &user("alice", &["devs"])).await;
    assert_eq!(rig.cluster.access_reviews().len(), 4);
    let alice = user("carol", &[]);
    let at_once = (0..50).map(|_| proxy.get(PATH, &alice));
    futures::future::join_all(at_once).await;
    assert_eq!(rig.cluster.access_reviews().len(), 5);
}

#[tokio::test]
async fn whoever_may_read_every_metric_is_asked_about_once_for_all_of_them() {
    let rig = Rig::start().await;
    rig.cluster
        .on_wide_access(|_| Reply::Status(json!({"allowed": true})));
    let proxy = rig.front_proxy().await;
    let controller = user(
        "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        &[],
    );
    for metric in 0..20 {
        let answer = proxy
            .get(&format!("{PATH}{metric}?labelSelector=a%3Db"), &controller)
            .await;
        assert_eq!(answer.code, StatusCode::NOT_FOUND);
    }
    assert_eq!(rig.cluster.access_reviews(), Vec::<Value>::new());
    let [review] = rig.cluster.wide_reviews().try_into().unwrap();
    assert_eq!(
        review["spec"],
        json!({
            "resourceAttributes": {
                "verb": "list", "group": "external.metrics.k8s.io", "version": "v1beta1", "resource": "*",
            },
            "user": "system:serviceaccount:kube-system:horizontal-pod-autoscaler", "groups": ["system:authenticated"],
        })
    );
    // Another verb, another user, and what is no metric are other questions.
    proxy.get(&format!("{PATH}/x"), &controller).await;
    proxy.get(PATH, &user("alice", &[])).await;
    assert_eq!(rig.cluster.wide_reviews().len(), 3);
    proxy
        .get("/apis/external.metrics.k8s.io/v1beta1", &controller)
        .await;
    assert_eq!(rig.cluster.wide_reviews().len(), 3);
    assert_eq!(rig.cluster.access_reviews().len(), 1);
}

#[tokio::test]
async fn whoever_may_not_is_asked_about_metric_by_metric() {
    let rig = Rig::start().await;
    rig.cluster.on_access(|review| {
        Reply::Status(
            json!({"allowed": review["spec"]["resourceAttributes"]["resource"] == "kafka-lag1"}),
        )
    });
    let proxy = rig.front_proxy().await;
    for _ in 0..3 {
        for (metric, code) in [(1, 404), (2, 403)] {
            let answer = proxy
                .get(&format!("{PATH}{metric}"), &user("alice", &[]))
                .await;
            assert_eq!(answer.code.as_u16(), code);
        }
    }
    assert_eq!(
        (
            rig.cluster.wide_reviews().len(),
            rig.cluster.access_reviews().len()
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn an_outage_is_not_waited_for_twice_and_a_doubt_is_no_yes() {
    let rig = Rig::start().await;
    let proxy = rig.front_proxy().await;
    rig.cluster.on_wide_access(|_| {
        Reply::Failure(403, "lagscale may not create subjectaccessreviews".into())
    });
    let answer = proxy.get(PATH, &user("alice", &[])).await;
    assert_eq!(answer.code, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(rig.cluster.access_reviews(), Vec::<Value>::new());
    rig.cluster.on_wide_access(|_| {
        Reply::Status(json!({"allowed": false, "evaluationError": "no role known"}))
    });
    for _ in 0..3 {
        let answer = proxy.get(PATH, &user("alice", &[])).await;
        assert_eq!(answer.code, StatusCode::NOT_FOUND);
    }
    let asked = (
        rig.cluster.wide_reviews().len(),
        rig.cluster.access_reviews().len(),
    );
    assert_eq!(asked, (2, 1));
}

#[tokio::test]
async fn a_refusal_says_who_may_not_do_what_where_and_why() {
    let rig = Rig::start().await;
    rig.cluster
        .on_access(|_| Reply::Status(json!({"allowed": false, "reason": "a rule of ours"})));
    let proxy = rig.front_proxy().await;
    let answer = proxy.get(PATH, &user("a<b>&c", &[])).await;
    assert_eq!(answer.code, StatusCode::FORBIDDEN);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(
        answer.json(),
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "kafka-lag.external.metrics.k8s.io is forbidden: User \"a&lt;b&gt;&amp;c\" cannot list resource \"kafka-lag\" in API group \"external.metrics.k8s.io\" in the namespace \"default\": a rule of ours",
            "reason": "Forbidden", "details": {"group": "external.metrics.k8s.io", "kind": "kafka-lag"}, "code": 403,
        })
    );
    let answer = proxy.get("/openapi/v2", &user("alice", &[])).await;
    assert_eq!(
        answer.json()["message"],
        "forbidden: User \"alice\" cannot get path \"/openapi/v2\": a rule of ours"
    );
}

#[tokio::test]
async fn an_outage_of_reviews_lets_nobody_in_says_why_and_is_not_remembered() {
    let rig = Rig::start().await;
    rig.cluster
        .on_access(|_| Reply::Failure(403, "lagscale may not create subjectaccessreviews".into()));
    let proxy = rig.front_proxy().await;
    let alice = user("alice", &[]);
    let answer = proxy.get(&format!("{PATH}?a=%3Cb%3E&c"), &alice).await;
    assert_eq!(answer.code, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("retry-after"), "");
    assert!(
        answer.text().starts_with("Internal Server Error: \"/apis/external.metrics.k8s.io/v1beta1/namespaces/default/kafka-lag?a=%3Cb%3E&amp;c\": "),
        "{answer:?}"
    );
    assert!(
        answer
            .text()
            .contains("may not create subjectaccessreviews"),
        "{answer:?}"
    );
    let asked = rig.cluster.access_reviews().len();
    assert_eq!(proxy.get(PATH, &MASTERS).await.code, StatusCode::NOT_FOUND);
    assert_eq!(proxy.get("/readyz", &alice).await.code, StatusCode::OK);
    assert_eq!(rig.cluster.access_reviews().len(), asked);
    rig.cluster
        .on_access(|_| Reply::Status(json!({"allowed": true})));
    let answer = proxy.get(&format!("{PATH}?a=%3Cb%3E&c"), &alice).await;
    assert_eq!(answer.code, StatusCode::NOT_FOUND);
    rig.cluster.on_access(|_| {
        Reply::Status(json!({"allowed": false, "evaluationError": "no role known"}))
    });
    let answer = proxy.get(PATH, &user("bob", &[])).await;
    assert_eq!(answer.code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.text().contains("no role known"), "{answer:?}");
}

#[tokio::test]
async fn a_review_that_fails_for_a_moment_is_made_again() {
    let rig = Rig::start().await;
    let count = std::sync::atomic::AtomicUsize::new(0);
    rig.cluster.on_access(move |_| {
        match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Reply::Failure(500, "etcd has no leader".into()),
            1 => Reply::Failure(429, "later".into()),
            _ => Reply::Status(json!({"allowed": true})),
        }
    });
    let proxy = rig.front_proxy().await;
    let answer = proxy.get(PATH, &user("alice", &[])).await;
    assert_eq!(answer.code, StatusCode::NOT_FOUND, "{answer:?}");
    assert_eq!(rig.cluster.access_reviews().len(), 3);
}

#[tokio::test]
async fn what_takes_much_room_to_remember_is_asked_each_time() {
    let rig = Rig::start().await;
    let proxy = rig.front_proxy().await;
    let group = "g".repeat(11_000);
    for _ in 0..2 {
        let answer = proxy.get(PATH, &user("alice", &[&group])).await;
        assert_eq!(answer.code, StatusCode::NOT_FOUND);
    }
    assert_eq!(rig.cluster.access_reviews().len(), 2);
}

#[tokio::test]
async fn metrics_are_for_who_may_get_the_path_as_kube_apiserver_s_are() {
    let rig = Rig::start().await;
    let allowed = |review: &Value| json!({"allowed": review["spec"]["user"] == "prometheus"});
    rig.cluster
        .on_access(move |review| Reply::Status(allowed(review)));
    let anonymous = rig.caller(None).await.get("/metrics", &[]).await;
    assert_eq!(anonymous.code, StatusCode::FORBIDDEN);
    rig.cluster.on_token(|_| {
        Reply::Status(json!({"authenticated": true, "user": {"username": "prometheus"}}))
    });
    let caller = rig.caller(None).await;
    let answer = caller
        .get("/metrics", &[("authorization", "Bearer t")])
        .await;
    assert_eq!(answer.code, StatusCode::OK);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        answer.text().contains("lagscale_api_requests_total{"),
        "{answer:?}"
    );
    let asked = rig.cluster.access_reviews();
    let attributes = &asked.last().unwrap()["spec"]["nonResourceAttributes"];
    assert_eq!(attributes, &json!({"path": "/metrics", "verb": "get"}));
}
