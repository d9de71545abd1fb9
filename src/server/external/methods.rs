//! The methods of KEDA's external scaler. Each is answered from what was read last, as a metric GET is; only the first question about a trigger
//! waits for its brokers. A target is in the trigger's metadata, so there is no stream of them, and KEDA goes on without.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::Request,
    routing::{MethodRouter, post},
};
use futures::{Stream, stream};
use prometheus::IntCounterVec;
use prost::Message;
use tokio::time::timeout;
use tonic::{Code, Status, server::Grpc};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::messages::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec,
    MetricValue, ScaledObjectRef,
};
use crate::{
    controller::{
        ExternalReading, ExternalTrigger, ExternalTriggers, ExternalValue, NotTaken, Readings,
    },
    pulse::Pulse,
    scaling::from_milli,
    text::{is_dns_label, shown},
};

/// Bytes of a question.
const QUESTION: usize = 16 * 1024;
/// For the first reading of a trigger.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of a name that are repeated.
const ECHO: usize = 100;

/// The answers, and how many there were.
pub(super) struct Methods {
    pub triggers: ExternalTriggers,
    /// When the engine last turned, and the longest that a turn may take.
    pub pulse: (Pulse, Duration),
    pub answers: IntCounterVec,
}

/// The routes of all methods.
pub(super) fn router(methods: Methods) -> Router {
    let methods = Arc::new(methods);
    let path = |name: &str| format!("/externalscaler.ExternalScaler/{name}");
    let spec = unary(&methods, "GetMetricSpec", Methods::spec);
    let metrics = unary(&methods, "GetMetrics", Methods::metrics);
    let is_active = unary(&methods, "IsActive", Methods::is_active);
    Router::new()
        .route(&path("GetMetricSpec"), spec)
        .route(&path("GetMetrics"), metrics)
        .route(&path("IsActive"), is_active)
        .route(&path("StreamIsActive"), streamed(&methods))
        .fallback(async || {
            let refused = Status::unimplemented("the external scaler has no such method");
            refused.into_http::<tonic::body::Body>()
        })
}

fn unary<Q, A, F>(
    methods: &Arc<Methods>,
    name: &'static str,
    answer: impl Fn(Arc<Methods>, Q) -> F + Copy + Send + Sync + 'static,
) -> MethodRouter
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
    F: Future<Output = Result<A, Status>> + Send + 'static,
{
    let methods = methods.clone();
    post(move |request: Request| {
        let methods = methods.clone();
        let service = service_fn(move |question: tonic::Request<Q>| {
            let methods = methods.clone();
            async move {
                let answered = answer(methods.clone(), question.into_inner()).await;
                methods.count(name, answered.as_ref().err());
                answered.map(tonic::Response::new)
            }
        });
        async move { grpc::<A, Q>().unary(service, request).await }
    })
}

/// A stream that says if there is work, now and whenever that changes.
fn streamed(methods: &Arc<Methods>) -> MethodRouter {
    let methods = methods.clone();
    post(move |request: Request| {
        let methods = methods.clone();
        let service = service_fn(move |question: tonic::Request<ScaledObjectRef>| {
            let readings = methods.ask(question.into_inner());
            methods.count("StreamIsActive", readings.as_ref().err());
            async { readings.map(|readings| tonic::Response::new(changes(readings))) }
        });
        async move {
            let mut grpc = grpc::<IsActiveResponse, ScaledObjectRef>();
            grpc.server_streaming(service, request).await
        }
    })
}

fn grpc<A, Q>() -> Grpc<ProstCodec<A, Q>>
where
    A: Message + 'static,
    Q: Message + Default + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(QUESTION)
}

/// Activity as it changes; what is not known is no change. It holds its trigger, which is read for as long as somebody listens.
fn changes(readings: Readings) -> impl Stream<Item = Result<IsActiveResponse, Status>> {
    stream::unfold((readings, None), |(mut readings, last)| async move {
        loop {
            let reading = readings.borrow_and_update().clone();
            let value = match reading {
                Some(Err(why)) => return Some((Err(invalid(&why)), (readings, last))),
                Some(Ok(reading)) => reading.value.and_then(Result::ok),
                None => None,
            };
            if let Some(result) = value.map(|v| v.active).filter(|a| last != Some(*a)) {
                return Some((Ok(IsActiveResponse { result }), (readings, Some(result))));
            }
            readings.changed().await.ok()?;
        }
    })
}

impl Methods {
    async fn spec(
        self: Arc<Self>,
        trigger: ScaledObjectRef,
    ) -> Result<GetMetricSpecResponse, Status> {
        let reading = self.reading(trigger, |_| true).await?;
        let spec = MetricSpec {
            metric_name: reading.metric.to_string(),
            target_size: reading.target,
            target_size_float: from_milli(reading.target.saturating_mul(1000)),
        };
        Ok(GetMetricSpecResponse {
            metric_specs: vec![spec],
        })
    }

    async fn metrics(
        self: Arc<Self>,
        asked: GetMetricsRequest,
    ) -> Result<GetMetricsResponse, Status> {
        let trigger = asked.scaled_object_ref.unwrap_or_default();
        let (known, value) = self.value(trigger).await?;
        if asked.metric_name != *known {
            let text = format!(
                "the trigger's metric is {known}, not {}",
                shown(&asked.metric_name, ECHO)
            );
            return Err(Status::not_found(text));
        }
        let value = MetricValue {
            metric_name: asked.metric_name,
            metric_value: value.milli.saturating_add(999) / 1000,
            metric_value_float: from_milli(value.milli),
        };
        Ok(GetMetricsResponse {
            metric_values: vec![value],
        })
    }

    async fn is_active(
        self: Arc<Self>,
        trigger: ScaledObjectRef,
    ) -> Result<IsActiveResponse, Status> {
        let (_, value) = self.value(trigger).await?;
        Ok(IsActiveResponse {
            result: value.active,
        })
    }

    /// The metric of a trigger and its value.
    async fn value(&self, trigger: ScaledObjectRef) -> Result<(Arc<str>, ExternalValue), Status> {
        let (pulse, longest) = &self.pulse;
        let turned = pulse.age(Instant::now());
        let reading = self
            .reading(trigger, |reading| reading.value.is_some())
            .await?;
        if turned > *longest {
            let text = format!("the engine has not turned for {} s", turned.as_secs());
            return Err(Status::unavailable(text));
        }
        match reading.value {
            Some(Ok(value)) => Ok((reading.metric, value)),
            Some(Err(why)) => Err(Status::unavailable(&*why)),
            None => Err(Status::unavailable("there is no reading yet")),
        }
    }

    /// The reading of a trigger once it is `enough`.
    async fn reading(
        &self,
        trigger: ScaledObjectRef,
        enough: impl Fn(&ExternalReading) -> bool + Send,
    ) -> Result<ExternalReading, Status> {
        let mut readings = self.ask(trigger)?;
        let known = readings.wait_for(|reading| match reading {
            Some(Ok(reading)) => enough(reading),
            Some(Err(_)) => true,
            None => false,
        });
        let known = match timeout(PATIENCE, known).await {
            Ok(Ok(known)) => known.clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        match known {
            Some(Ok(reading)) => Ok(reading),
            Some(Err(why)) => Err(invalid(&why)),
            None => Err(Status::unavailable(
                "there is no reading yet: no broker has answered, or a credential is being read",
            )),
        }
    }

    fn ask(&self, trigger: ScaledObjectRef) -> Result<Readings, Status> {
        let trigger = ExternalTrigger {
            namespace: trigger.namespace,
            object: trigger.name,
            metadata: trigger.scaler_metadata,
        };
        if !is_dns_label(&trigger.namespace) || trigger.object.is_empty() {
            let text = "scaledObjectRef has no name and namespace of an object";
            return Err(Status::invalid_argument(text));
        }
        let asked = self.triggers.ask(&trigger, Instant::now());
        asked.map_err(|refused| match refused {
            NotTaken::Elsewhere(_) => Status::permission_denied(refused.to_string()),
            NotTaken::Full => Status::resource_exhausted(refused.to_string()),
        })
    }

    fn count(&self, method: &str, error: Option<&Status>) {
        let code = error.map_or(Code::Ok, Status::code);
        let code = format!("{code:?}");
        self.answers
            .with_label_values(&[method, code.as_str()])
            .inc();
    }
}

/// KEDA shows this text in events and logs.
fn invalid(why: &str) -> Status {
    Status::invalid_argument(format!("error parsing kafka metadata: {why}"))
}
