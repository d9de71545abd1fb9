//! The methods without a connection: what KEDA's client sends, what it is told, and what nobody should send.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{Request, Response};
use http_body_util::BodyExt;
use prometheus::{IntCounterVec, Opts};
use prost::Message;
use tonic::Code;
use tower::ServiceExt;

use super::{
    messages::{
        GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse,
        ScaledObjectRef,
    },
    methods::{Methods, router},
};
use crate::{
    controller::{ExternalReading, ExternalTriggers, ExternalValue},
    pulse::Pulse,
};

fn methods(value: Option<Result<ExternalValue, Arc<str>>>) -> Router {
    let triggers = ExternalTriggers::with_engine(move |object| {
        let trigger = &object.spec.triggers[0];
        if trigger.metadata.contains_key("wrong") {
            return Some(Err("a field of it is wrong".into()));
        }
        let value = value.clone();
        Some(Ok(ExternalReading {
            metric: "kafka-t".into(),
            target: 5,
            value,
        }))
    });
    let answers = IntCounterVec::new(Opts::new("a", "b"), &["method", "code"]).unwrap();
    router(Methods {
        triggers,
        pulse: (Pulse::default(), Duration::from_secs(10)),
        answers,
    })
}

const ACTIVE: ExternalValue = ExternalValue {
    milli: 2_500,
    active: true,
};

fn trigger(namespace: &str, metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let metadata = metadata.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    ScaledObjectRef {
        name: "app".into(),
        namespace: namespace.into(),
        scaler_metadata: metadata.collect::<BTreeMap<_, _>>(),
    }
}

/// A message in gRPC's frame: not compressed, and its length.
fn framed(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat()
}

async fn sent(router: &Router, method: &str, body: Vec<u8>) -> Response<Body> {
    let request = Request::post(format!("/externalscaler.ExternalScaler/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::from(body))
        .unwrap();
    router.clone().oneshot(request).await.unwrap()
}

/// The first message of the answer; else the code and the text of the refusal.
async fn asked<A: Message + Default>(
    router: &Router,
    method: &str,
    question: &impl Message,
) -> Result<A, (Code, String)> {
    answer(sent(router, method, framed(question)).await).await
}

async fn answer<A: Message + Default>(answer: Response<Body>) -> Result<A, (Code, String)> {
    let (head, mut body) = answer.into_parts();
    let refusal = |headers: &http::HeaderMap| {
        let status = tonic::Status::from_header_map(headers)?;
        (status.code() != Code::Ok).then(|| (status.code(), status.message().to_owned()))
    };
    if let Some(refused) = refusal(&head.headers) {
        return Err(refused);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.unwrap();
        if let Some(refused) = frame.trailers_ref().and_then(refusal) {
            return Err(refused);
        }
        bytes.extend(frame.into_data().unwrap_or_default());
        if bytes.len() >= 5 {
            return Ok(A::decode(&bytes[5..]).unwrap());
        }
    }
    panic!("neither a message nor a refusal: {head:?}");
}

#[tokio::test]
async fn keda_s_questions_are_answered() {
    let router = methods(Some(Ok(ACTIVE)));
    let trigger = trigger("shop", &[]);
    let spec: GetMetricSpecResponse = asked(&router, "GetMetricSpec", &trigger).await.unwrap();
    let spec = &spec.metric_specs[0];
    assert_eq!(
        (
            spec.metric_name.as_str(),
            spec.target_size,
            spec.target_size_float
        ),
        ("kafka-t", 5, 5.0)
    );
    let question = GetMetricsRequest {
        scaled_object_ref: Some(trigger.clone()),
        metric_name: "kafka-t".into(),
    };
    let values: GetMetricsResponse = asked(&router, "GetMetrics", &question).await.unwrap();
    let value = &values.metric_values[0];
    assert_eq!(
        (
            value.metric_name.as_str(),
            value.metric_value,
            value.metric_value_float
        ),
        ("kafka-t", 3, 2.5)
    );
    for method in ["IsActive", "StreamIsActive"] {
        let active: IsActiveResponse = asked(&router, method, &trigger).await.unwrap();
        assert!(active.result, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_can_t_be_answered_is_refused_with_a_code_and_the_reason() {
    let withheld = methods(Some(Err("no broker is there".into())));
    let unread = methods(None);
    let known = methods(Some(Ok(ACTIVE)));
    let elsewhere = "namespace elsewhere is not watched";
    for (router, trigger, code, text) in [
        (
            &withheld,
            trigger("shop", &[]),
            Code::Unavailable,
            "no broker is there",
        ),
        (
            &unread,
            trigger("shop", &[]),
            Code::Unavailable,
            "there is no reading yet",
        ),
        (
            &known,
            trigger("shop", &[("wrong", "")]),
            Code::InvalidArgument,
            "a field of it is wrong",
        ),
        (
            &known,
            trigger("elsewhere", &[]),
            Code::PermissionDenied,
            elsewhere,
        ),
        (
            &known,
            trigger("../shop", &[]),
            Code::InvalidArgument,
            "scaledObjectRef",
        ),
        (
            &known,
            ScaledObjectRef::default(),
            Code::InvalidArgument,
            "scaledObjectRef",
        ),
    ] {
        let refused = asked::<IsActiveResponse>(router, "IsActive", &trigger).await;
        let (found, said) = refused.unwrap_err();
        assert!(found == code && said.contains(text), "{found:?} {said}");
    }
    let question = GetMetricsRequest {
        scaled_object_ref: Some(trigger("shop", &[])),
        metric_name: "kafka-other".into(),
    };
    let refused = asked::<GetMetricsResponse>(&known, "GetMetrics", &question).await;
    assert_eq!(refused.unwrap_err().0, Code::NotFound);
}

#[tokio::test]
async fn what_is_no_question_of_keda_s_harms_nobody() {
    let router = methods(Some(Ok(ACTIVE)));
    let big = trigger("shop", &[("topic", &"x".repeat(70_000))]);
    for (method, body, code) in [
        ("IsActive", Vec::new(), Code::Internal),
        (
            "IsActive",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            Code::Internal,
        ),
        (
            "IsActive",
            [&[0, 0, 0, 0, 4], &[0xff; 4][..]].concat(),
            Code::Internal,
        ),
        (
            "IsActive",
            vec![0, 0xff, 0xff, 0xff, 0xff],
            Code::OutOfRange,
        ),
        ("IsActive", framed(&big), Code::OutOfRange),
        (
            "StreamMetricSpec",
            framed(&trigger("shop", &[])),
            Code::Unimplemented,
        ),
        ("Exec", Vec::new(), Code::Unimplemented),
    ] {
        let refused = answer::<IsActiveResponse>(sent(&router, method, body).await).await;
        let (found, said) = refused.unwrap_err();
        assert_eq!(found, code, "{method}: {said}");
    }
    let trigger = trigger("shop", &[]);
    asked::<IsActiveResponse>(&router, "IsActive", &trigger)
        .await
        .unwrap();
}

#[tokio::test]
async fn no_more_triggers_are_read_than_there_are_places() {
    let router = methods(Some(Ok(ACTIVE)));
    let mut last = Ok(IsActiveResponse::default());
    for n in 0..=4096 {
        last = asked(
            &router,
            "IsActive",
            &trigger("shop", &[("topic", &n.to_string())]),
        )
        .await;
    }
    let (code, said) = last.unwrap_err();
    assert_eq!(
        (code, said.as_str()),
        (Code::ResourceExhausted, "4096 triggers are read already")
    );
    // The triggers that are read already go on.
    asked::<IsActiveResponse>(&router, "IsActive", &trigger("shop", &[("topic", "7")]))
        .await
        .unwrap();
}
