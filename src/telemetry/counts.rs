//! Counters of the controller's work, raised where it is done.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// Counters that are handed to whoever does what they count.
#[derive(Clone, Debug)]
pub struct Counts {
    writes: IntCounterVec,
    evaluations: IntCounterVec,
    unreadable: IntCounterVec,
}

impl Counts {
    /// Registers them, and what this build is.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let build = IntGaugeVec::new(
            Opts::new(
                "lagscale_build_info",
                "1; what this build is, in its labels.",
            ),
            &["version", "revision"],
        )?;
        registry.register(Box::new(build.clone()))?;
        let revision = option_env!("LAGSCALE_REVISION").unwrap_or_default();
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION"), revision])
            .set(1);
        Ok(Self {
            writes: counter(
                "lagscale_writes_total",
                "Writes to the API server. A conflict is decided anew.",
                &["resource", "outcome"],
            )?,
            evaluations: counter(
                "lagscale_evaluations_total",
                "Evaluations of ScaledObjects, one for each change and whenever something is due: everything served, something partial, withheld or fallen back, or a problem of the object itself.",
                &["outcome"],
            )?,
            unreadable: counter(
                "lagscale_unreadable_objects_total",
                "Objects that a list or a watch brought and that can't be read: too deep, or not of their kind. The log names them.",
                &["resource"],
            )?,
        })
    }

    /// Notes how a write of `resource` ended.
    pub fn wrote<T>(&self, resource: &str, result: &Result<T, kube::Error>) {
        let outcome = match result {
            Ok(_) => "ok",
            Err(kube::Error::Api(status)) if status.is_conflict() => "conflict",
            Err(_) => "error",
        };
        self.writes.with_label_values(&[resource, outcome]).inc();
    }

    /// Notes how a change of a workload's replicas ended; nothing was to be changed where another was faster.
    pub fn stepped(&self, result: &Result<Option<i32>, String>) {
        let outcome = match result {
            Ok(Some(_)) => "ok",
            Ok(None) => "conflict",
            Err(_) => "error",
        };
        self.writes.with_label_values(&["scale", outcome]).inc();
    }

    /// Notes an object that can't be read.
    pub fn unreadable(&self, resource: &str) {
        self.unreadable.with_label_values(&[resource]).inc();
    }

    /// Notes what an evaluation came to.
    pub fn evaluated(&self, outcome: &str) {
        self.evaluations.with_label_values(&[outcome]).inc();
    }
}
