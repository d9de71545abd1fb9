//! Discovery and OpenAPI: what kube-apiserver, its helpers and kubectl read, whatever Kafka does.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rig::{Answer, MASTERS, Rig, user};

const BASE: &str = "/apis/external.metrics.k8s.io/v1beta1";
const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2_BETA: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

async fn asked(rig: &Rig, path: &str, headers: &[(&str, &str)]) -> Answer {
    let proxy = rig.front_proxy().await;
    proxy.get(path, &[&MASTERS[..], headers].concat()).await
}

const OWN: &str = "external.metrics.lagscale.io";

#[tokio::test]
async fn the_version_has_exactly_one_resource_while_nothing_was_read_yet() {
    let rig = Rig::start().await;
    rig.polled.send_replace(false);
    let answer = asked(&rig, BASE, &[]).await;
    assert_eq!(answer.code, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        answer.json(),
        json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1",
            "resources": [{
                "name": "externalmetrics", "singularName": "", "namespaced": true,
                "kind": "ExternalMetricValueList", "verbs": ["get"],
            }],
        })
    );
    assert!(answer.text().ends_with("]}\n"), "{answer:?}");
}

#[tokio::test]
async fn the_aggregated_document_names_both_groups_with_their_kind_in_either_version() {
    let rig = Rig::start().await;
    for (accept, version) in [
        (V2.to_owned(), "v2"),
        (format!("{V2},{V2_BETA}"), "v2"),
        (
            "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io".into(),
            "v2",
        ),
        (V2_BETA.into(), "v2beta1"),
        (format!("{V2};q=0.1,{V2_BETA}"), "v2beta1"),
    ] {
        let answer = asked(&rig, "/apis", &[("accept", &accept)]).await;
        assert_eq!(answer.code, StatusCode::OK, "{accept}");
        assert_eq!(
            answer.header("content-type"),
            format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList")
        );
        assert_eq!(answer.header("vary"), "Accept");
        assert_eq!(answer.header("cache-control"), "public");
        let document = answer.json();
        assert_eq!(
            document["apiVersion"],
            format!("apidiscovery.k8s.io/{version}")
        );
        let items = document["items"].as_array().unwrap();
        let names: Vec<_> = items.iter().map(|i| &i["metadata"]["name"]).collect();
        assert_eq!(names, ["external.metrics.k8s.io", OWN]);
        for item in items {
            let resources = &item["versions"][0]["resources"];
            assert_eq!(resources.as_array().unwrap().len(), 1);
            let kind = &resources[0]["responseKind"];
            assert_eq!(kind["kind"], "ExternalMetricValueList");
            assert_eq!(kind["group"], item["metadata"]["name"]);
            assert_eq!(resources[0]["scope"], "Namespaced");
            assert_eq!(resources[0]["verbs"], json!(["get"]));
        }
    }
}

#[tokio::test]
async fn whoever_has_a_document_gets_304_and_its_tag_is_the_same_on_every_replica() {
    let (first, second) = (Rig::start().await, Rig::start().await);
    for (path, accept) in [
        ("/apis", V2),
        ("/apis", V2_BETA),
        ("/openapi/v2", "application/json"),
        ("/openapi/v3", "*/*"),
    ] {
        let answer = asked(&first, path, &[("accept", accept)]).await;
        let tag = answer.header("etag").to_owned();
        assert!(
            tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'),
            "{tag}"
        );
        let known = [("accept", accept), ("if-none-match", &tag)];
        let again = asked(&second, path, &known).await;
        assert_eq!(again.code, StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!((again.body.len(), again.header("etag")), (0, &*tag));
        let other = [("accept", accept), ("if-none-match", "\"other\"")];
        let other = asked(&second, path, &other).await;
        assert_eq!((other.code, other.body), (StatusCode::OK, answer.body));
    }
}

#[tokio::test]
async fn without_a_word_about_its_form_the_list_of_groups_is_plain() {
    let rig = Rig::start().await;
    let version = json!({"groupVersion": "external.metrics.k8s.io/v1beta1", "version": "v1beta1"});
    for headers in [
        vec![],
        vec![("accept", "application/json")],
        vec![("accept", "*/*")],
        vec![("accept", "application/vnd.kubernetes.protobuf, */*")],
    ] {
        for path in ["/apis", "/apis/"] {
            let answer = asked(&rig, path, &headers).await;
            let list = answer.json();
            assert_eq!(list["kind"], "APIGroupList", "{headers:?}");
            assert_eq!(list["groups"][0]["preferredVersion"], version);
        }
    }
    let group = asked(&rig, "/apis/external.metrics.k8s.io", &[])
        .await
        .json();
    assert_eq!(
        (&group["kind"], &group["versions"]),
        (&json!("APIGroup"), &json!([version]))
    );
    let yaml = [("accept", "application/yaml")];
    let answer = asked(&rig, BASE, &yaml).await;
    assert_eq!(answer.header("content-type"), "application/yaml");
    let read: Value = serde_saphyr::from_str(answer.text()).unwrap();
    assert_eq!(read["resources"][0]["name"], "externalmetrics");
    let protobuf = [("accept", "application/vnd.kubernetes.protobuf")];
    for path in ["/apis", BASE] {
        let answer = asked(&rig, path, &protobuf).await;
        assert_eq!(answer.code, StatusCode::NOT_ACCEPTABLE, "{path}");
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        assert!(answer.text().starts_with("{\n"), "{answer:?}");
    }
}

#[tokio::test]
async fn every_operation_has_responses_and_both_openapi_versions_describe_the_path_of_a_group() {
    let rig = Rig::start().await;
    let own = format!("/apis/{OWN}/v1beta1");
    let path = |base: &str| format!("{base}/namespaces/{{namespace}}/{{metric}}");
    let (theirs, own) = (path(BASE), path(&own));
    let v2 = asked(&rig, "/openapi/v2", &[]).await.json();
    assert_eq!(v2["swagger"], "2.0");
    let index = asked(&rig, "/openapi/v3", &[]).await.json();
    let url = &index["paths"]["apis/external.metrics.k8s.io/v1beta1"]["serverRelativeURL"];
    let url = url.as_str().unwrap();
    let answer = asked(&rig, url, &[]).await;
    assert!(
        answer.header("cache-control").contains("immutable"),
        "{answer:?}"
    );
    let v3 = answer.json();
    assert_eq!(v3["openapi"], "3.0.0");
    let url = &index["paths"]["apis/external.metrics.lagscale.io/v1beta1"]["serverRelativeURL"];
    let of_own = asked(&rig, url.as_str().unwrap(), &[]).await.json();
    for (document, described) in [
        (v2, &[&theirs, &own][..]),
        (v3, &[&theirs]),
        (of_own, &[&own]),
    ] {
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.keys().collect::<Vec<_>>(), described);
        let mut ids = std::collections::BTreeSet::new();
        for operation in paths.values().flat_map(|p| p.as_object().unwrap().values()) {
            assert!(operation["responses"]["200"].is_object(), "{operation}");
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{operation}"
            );
        }
    }
    let binary = [(
        "accept",
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    )];
    let answer = asked(&rig, "/openapi/v2", &binary).await;
    assert_eq!(
        (answer.code, answer.body.len()),
        (StatusCode::NOT_ACCEPTABLE, 0)
    );
}

#[tokio::test]
async fn a_hash_that_is_out_of_date_is_answered_and_nothing_ever_redirects() {
    let rig = Rig::start().await;
    let v3 = "/openapi/v3/apis/external.metrics.k8s.io/v1beta1";
    for (path, code) in [
        (format!("{v3}?hash=OUTOFDATE"), 200),
        (v3.into(), 200),
        (format!("{v3}/"), 200),
        ("/openapi/v3/apis/apps/v1".into(), 404),
        ("/openapi".into(), 404),
        ("/".into(), 200),
        ("/index.html".into(), 200),
        ("/version".into(), 200),
        ("/apis//".into(), 404),
        ("//apis".into(), 404),
        ("/nothing".into(), 404),
    ] {
        let answer = asked(&rig, &path, &[]).await;
        assert_eq!(answer.code.as_u16(), code, "{path}");
        assert_eq!(answer.header("location"), "");
    }
    let lost = asked(&rig, "/nothing", &[]).await.json();
    let paths = lost["paths"].as_array().unwrap();
    assert!(paths.contains(&json!("/openapi/v3")), "{lost}");
    let version = asked(&rig, "/version", &[]).await.json();
    assert_eq!(
        version["gitVersion"],
        concat!("v", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn a_path_may_end_in_a_slash_and_is_decoded_and_is_else_taken_by_its_letters() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    let query = "?labelSelector=scaledobject.keda.sh%2Fname%3Dorders";
    for (path, code) in [
        (format!("{BASE}/namespaces/shop/s0-kafka-orders"), 200),
        (format!("{BASE}/namespaces/shop/s0-kafka-orders/"), 200),
        (format!("{BASE}/namespaces/shop/s0%2Dkafka%2Dorders"), 200),
        (format!("{BASE}/namespaces/shop/s0-kafka-orders%2F"), 200),
        (format!("{BASE}/"), 200),
        (format!("{BASE}//namespaces/shop/s0-kafka-orders"), 404),
        (format!("{BASE}/x/../namespaces/shop/s0-kafka-orders"), 404),
        (format!("{BASE}/namespaces/shop"), 404),
        (format!("{BASE}/namespaces/shop/s0-kafka-orders/x"), 404),
        (format!("{BASE}/s0-kafka-orders"), 404),
        (format!("{BASE}/watch/namespaces/shop/s0-kafka-orders"), 404),
        ("/apis/external.metrics.k8s.io/v1beta2".into(), 404),
    ] {
        let answer = asked(&rig, &format!("{path}{query}"), &[]).await;
        assert_eq!(answer.code.as_u16(), code, "{path}");
        if code == 404 {
            assert_eq!(answer.json()["reason"], "NotFound", "{path}");
            assert_eq!(answer.json()["details"], json!({}), "{path}");
        }
    }
}

#[tokio::test]
async fn the_helpers_of_kube_apiserver_come_without_groups_and_count_as_authenticated() {
    let rig = Rig::start().await;
    let proxy = rig.front_proxy().await;
    for (name, path) in [
        ("system:aggregator", "/openapi/v2"),
        ("system:kube-aggregator", BASE),
    ] {
        let answer = proxy.get(path, &user(name, &[])).await;
        assert_eq!(answer.code, StatusCode::OK, "{answer:?}");
        let asked = rig.cluster.access_reviews();
        let spec = &asked.last().unwrap()["spec"];
        assert_eq!(
            *spec,
            json!({
                "nonResourceAttributes": {"path": path, "verb": "get"},
                "user": name, "groups": ["system:authenticated"],
            })
        );
    }
}

#[tokio::test]
async fn health_is_open_to_everybody_and_its_single_checks_are_not() {
    let rig = Rig::start().await;
    rig.cluster
        .on_access(|_| crate::rig::Reply::Status(json!({"allowed": false})));
    let nobody = rig.caller(None).await;
    for path in ["/healthz", "/livez", "/readyz"] {
        let answer = nobody.get(path, &[]).await;
        assert_eq!((answer.code, answer.text()), (StatusCode::OK, "ok"));
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    assert!(rig.cluster.access_reviews().is_empty());
    let verbose = nobody.get("/livez?verbose", &[]).await;
    assert_eq!(
        verbose.text(),
        "[+]ping ok\n[+]engine ok\nlivez check passed\n"
    );
    let single = nobody.get("/readyz/ping", &[]).await;
    assert_eq!(single.code, StatusCode::FORBIDDEN);
    assert_eq!(
        single.json()["message"],
        "forbidden: User \"system:anonymous\" cannot get path \"/readyz/ping\""
    );
    rig.polled.send_replace(false);
    let failing = nobody.get("/readyz", &[]).await;
    assert_eq!(failing.code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        failing
            .text()
            .contains("[-]informer-sync failed: reason withheld\n"),
        "{failing:?}"
    );
    let path = "/readyz?verbose&exclude=informer-sync&exclude=x";
    let excluded = nobody.get(path, &[]).await;
    assert_eq!(excluded.code, StatusCode::OK);
    for line in [
        "[+]informer-sync excluded: ok\n",
        "warn: some health checks cannot be excluded: no matches for [\"x\"]\n",
    ] {
        assert!(excluded.text().contains(line), "{excluded:?}");
    }
    let check = asked(&rig, "/readyz/informer-sync", &[]).await;
    assert_eq!(check.code, StatusCode::INTERNAL_SERVER_ERROR);
    let none = rig.front_proxy().await;
    let post = none.send(Method::GET, "/readyz/none", &MASTERS, "").await;
    assert_eq!(post.unwrap().code, StatusCode::NOT_FOUND);
}
