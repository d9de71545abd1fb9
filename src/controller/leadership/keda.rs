//! Whether a KEDA operator is alive: two controllers on the same objects would undo each other's work for ever. It holds a
//! Lease of a fixed name in whatever namespace it was installed to.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, ResourceExt, api::ListParams};
use tokio::{sync::watch, time::timeout};

use super::lease::Observed;
use crate::telemetry::Said;

/// KEDA's `--leader-election-id`, which its chart does not change.
pub(super) const LEASE: &str = "operator.keda.sh";
const EVERY: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(10);
/// A Lease that stands still counts no longer than this, whatever it says: an operator that lives renews its own within half a minute,
/// also with the long terms of OpenShift.
const LONGEST: i32 = 60;

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keda {
    /// Nobody could look yet.
    Unknown,
    /// Nobody wants to know.
    Ignored,
    /// There is none, or none that renews its Lease.
    Gone,
    /// It renews its Lease, or did so until a moment ago.
    Alive {
        /// Where its Lease is.
        namespace: String,
        /// Who holds it.
        holder: String,
    },
}

impl Keda {
    /// Whether writing is in nobody's way.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone | Self::Ignored)
    }
}

impl fmt::Display for Keda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not known yet"),
            Self::Ignored => f.write_str("not looked for (--write-beside-keda)"),
            Self::Gone => f.write_str("not running"),
            Self::Alive { namespace, holder } => {
                write!(f, "running: {holder} renews the lease {namespace}/{LEASE}")
            }
        }
    }
}

/// Looks for as long as somebody wants to know. What can't be seen stays as it was: unknown at first, so that nothing is
/// written before the first look.
pub(super) async fn look(client: Client, me: String, seen: watch::Sender<Keda>) {
    let api: Api<Lease> = Api::all(client);
    let params = ListParams::default().fields(&format!("metadata.name={LEASE}"));
    let mut observed = BTreeMap::new();
    let mut said = Said::default();
    while !seen.is_closed() {
        match timeout(PATIENCE, api.list(&params)).await {
            Ok(Ok(list)) => {
                said.forget();
                let found = judge(&mut observed, list.items, &me, Instant::now());
                tell(&seen, found);
            }
            Ok(Err(error)) => complain(&mut said, &error.to_string()),
            Err(_) => complain(&mut said, "no answer"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn complain(said: &mut Said, error: &str) {
    if said.is_news(error) {
        tracing::warn!(
            error,
            "cannot see whether a KEDA operator is alive; until that was seen once, nothing is written. Needed: list on leases.coordination.k8s.io named {LEASE} in all namespaces, or --write-beside-keda"
        );
    }
}

fn judge(
    observed: &mut BTreeMap<String, Observed>,
    leases: Vec<Lease>,
    me: &str,
    now: Instant,
) -> Keda {
    let mut before = std::mem::take(observed);
    for lease in leases {
        let (namespace, mut spec) = (
            lease.namespace().unwrap_or_default(),
            lease.spec.unwrap_or_default(),
        );
        spec.lease_duration_seconds = spec.lease_duration_seconds.map(|s| s.min(LONGEST));
        let seen = Observed::again(before.remove(&namespace), spec, now);
        observed.insert(namespace, seen);
    }
    let mut alive = observed.iter().filter_map(|(namespace, seen)| {
        let holder = seen.holder(now).filter(|holder| *holder != me)?;
        Some(Keda::Alive {
            namespace: namespace.clone(),
            holder: holder.to_owned(),
        })
    });
    alive.next().unwrap_or(Keda::Gone)
}

fn tell(seen: &watch::Sender<Keda>, found: Keda) {
    let before = seen.borrow().clone();
    if before == found {
        return;
    }
    match &found {
        Keda::Alive { .. } => tracing::warn!(
            keda = %found,
            "nothing is written while a KEDA operator is alive: values are served, HPAs and replicas are its own. Scale its operator to 0, or start with --write-beside-keda"
        ),
        _ if before != Keda::Unknown => tracing::info!("the KEDA operator is gone"),
        _ => {}
    }
    seen.send_replace(found);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use kube::core::ObjectMeta;

    use super::*;

    fn lease(namespace: &str, holder: &str, renewed: i64) -> Lease {
        let renewed = Timestamp::from_second(renewed).unwrap();
        Lease {
            metadata: ObjectMeta {
                namespace: Some(namespace.into()),
                name: Some(LEASE.into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: Some(15),
                renew_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(
                    renewed,
                )),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_keda_is_alive_while_its_lease_changes_and_gone_once_it_stands_still_or_is_released() {
        let begin = Instant::now();
        let mut observed = BTreeMap::new();
        let mut judged = |after: u64, leases: Vec<Lease>| {
            judge(
                &mut observed,
                leases,
                "me",
                begin + Duration::from_secs(after),
            )
        };
        let alive = Keda::Alive {
            namespace: "keda".into(),
            holder: "k".into(),
        };
        assert_eq!(judged(0, vec![]), Keda::Gone);
        // Whatever its time says: nobody has seen yet that it stands still.
        assert_eq!(judged(1, vec![lease("keda", "k", 0)]), alive);
        assert_eq!(judged(10, vec![lease("keda", "k", 9)]), alive);
        assert_eq!(judged(24, vec![lease("keda", "k", 9)]), alive);
        assert_eq!(judged(25, vec![lease("keda", "k", 9)]), Keda::Gone);
        assert_eq!(judged(26, vec![lease("keda", "", 26)]), Keda::Gone);
        assert_eq!(judged(27, vec![lease("keda", "me", 27)]), Keda::Gone);
        let both = vec![lease("a", "", 1), lease("keda", "k", 28)];
        assert_eq!(judged(28, both), alive);
        let endless = || {
            let mut lease = lease("keda", "k", 29);
            let spec = lease.spec.as_mut().unwrap();
            spec.lease_duration_seconds = Some(i32::MAX);
            vec![lease]
        };
        assert_eq!(judged(29, endless()), alive);
        assert_eq!(judged(88, endless()), alive);
        assert_eq!(judged(89, endless()), Keda::Gone);
    }
}
