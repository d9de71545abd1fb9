//! Whether a KEDA operator is alive: two controllers on the same objects would undo each other's work for ever. It renews a
//! Lease, or has pods where it runs without one; either counts where a KEDA may be. A Lease of the usual name elsewhere is only told of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client, Error, ResourceExt, api::ListParams};
use tokio::sync::watch;

use super::{
    lease::Observed,
    operator::KEDA_LEASE,
    places::{self, KedaRules, Place, Places},
};
use crate::{controller::deadline::bounded, telemetry::Said, text::api_error};

const EVERY: Duration = Duration::from_secs(3);
/// Looks between two searches for where a KEDA may be.
const SEARCH: u32 = 10;
/// A Lease that stands still counts no longer than this, whatever it says: an operator that lives renews its own within half a minute,
/// also with the long terms of OpenShift.
const LONGEST: i32 = 60;
/// Leases elsewhere that are looked at, and those that are named.
const MOST: u32 = 500;
const NAMED: usize = 5;

/// The state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keda {
    /// Nobody could look yet.
    Unknown,
    /// Nobody wants to know.
    Ignored,
    /// There is none, or none that renews its Lease.
    Gone,
    /// Every one there is handles other objects, as its Deployment says.
    Apart {
        /// Where it is.
        namespaces: String,
    },
    /// It renews its Lease, or did so until a moment ago.
    Alive {
        /// Where its Lease is.
        namespace: String,
        /// The name of its Lease.
        lease: String,
        /// The holder.
        holder: String,
    },
    /// It holds no Lease, so each of its pods may write.
    Unelected {
        /// Where it is.
        namespace: String,
        /// Its Deployment.
        deployment: String,
    },
}

impl Keda {
    /// `true` where one was seen that would write too.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Alive { .. } | Self::Unelected { .. })
    }

    /// Whether writing is in nobody's way.
    #[must_use]
    pub fn lets_write(&self) -> bool {
        matches!(self, Self::Gone | Self::Apart { .. } | Self::Ignored)
    }
}

impl fmt::Display for Keda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not known yet"),
            Self::Ignored => f.write_str("not looked for (--write-beside-keda)"),
            Self::Gone => f.write_str("not running"),
            Self::Apart { namespaces } => write!(f, "one of other objects, in {namespaces}"),
            Self::Alive {
                namespace,
                lease,
                holder,
            } => {
                write!(f, "running: {holder} renews the lease {namespace}/{lease}")
            }
            Self::Unelected {
                namespace,
                deployment,
            } => {
                write!(
                    f,
                    "running: the Deployment {namespace}/{deployment} is without --leader-elect, and wants pods or has some"
                )
            }
        }
    }
}

/// Looks for as long as somebody wants to know. What can't be seen stays as it was: unknown at first, so that nothing is
/// written before the first look.
pub(super) async fn look(client: Client, me: String, rules: KedaRules, seen: watch::Sender<Keda>) {
    let mut observed = BTreeMap::new();
    let mut places = Places::default();
    let (mut said, mut elsewhere) = (Said::default(), Said::default());
    let mut turn = 0;
    while !seen.is_closed() {
        let looked = async {
            if turn == 0 || places.leases.is_empty() && places.apart.is_empty() {
                places = places::find(&client, &rules).await?;
                tell_elsewhere(&client, &places, &mut elsewhere).await;
            }
            let leases = leases(&client, &places.leases).await?;
            Ok((leases, places::unelected(&client, &places).await?))
        };
        match bounded(looked).await {
            Ok((leases, unelected)) => {
                said.forget();
                let found = judge(&mut observed, leases, &me, Instant::now());
                let found = match (found, unelected) {
                    (Keda::Gone, Some((namespace, deployment))) => Keda::Unelected {
                        namespace,
                        deployment,
                    },
                    (Keda::Gone, None) if !places.apart.is_empty() => {
                        let names: Vec<&str> = places.apart.iter().map(String::as_str).collect();
                        let namespaces = names.join(", ");
                        Keda::Apart { namespaces }
                    }
                    (found, _) => found,
                };
                // It may have moved, or been started anew without its Lease.
                if !found.is_alive() && seen.borrow().is_alive() && turn > 0 {
                    turn = 0;
                    continue;
                }
                tell(&seen, found);
            }
            Err(error) => {
                // A KEDA may be there whose Lease is kept from us; other errors pass.
                if matches!(&error, Error::Api(status) if status.code == 403) {
                    seen.send_if_modified(|known| {
                        std::mem::replace(known, Keda::Unknown) != Keda::Unknown
                    });
                }
                complain(&mut said, &api_error(&error));
            }
        }
        turn = (turn + 1) % SEARCH;
        tokio::time::sleep(EVERY).await;
    }
}

async fn leases(client: &Client, places: &BTreeSet<Place>) -> Result<Vec<(Place, Lease)>, Error> {
    let mut found = Vec::new();
    for place in places {
        let api: Api<Lease> = Api::namespaced(client.clone(), &place.0);
        let lease = api.get_opt(&place.1).await?;
        found.extend(lease.map(|lease| (place.clone(), lease)));
    }
    Ok(found)
}

/// Tells of Leases like KEDA's where no KEDA is known to be: anybody may make one, and it may be a KEDA that nobody told of.
async fn tell_elsewhere(client: &Client, places: &Places, said: &mut Said) {
    let api: Api<Lease> = Api::all(client.clone());
    let params = ListParams::default().fields(&format!("metadata.name={KEDA_LEASE}"));
    // It is told by whoever may see it: without the right to list them nothing is missed that counts.
    let Ok(found) = api.list(&params.limit(MOST)).await else {
        return;
    };
    let held = |spec: &LeaseSpec| spec.holder_identity.as_ref().is_some_and(|h| !h.is_empty());
    let others = found.items.into_iter().filter_map(|lease| {
        let place = (lease.namespace()?, lease.name_any());
        let known = places.leases.contains(&place) || places.apart.contains(&place.0);
        let stranger = !known && lease.spec.as_ref().is_some_and(held);
        stranger.then_some(place.0)
    });
    let others: BTreeSet<String> = others.collect();
    let named: Vec<&str> = others.iter().take(NAMED).map(String::as_str).collect();
    if !others.is_empty() && said.is_news(&named.join(", ")) {
        tracing::warn!(
            namespaces = named.join(", "),
            count = others.len(),
            "a Lease {KEDA_LEASE} is held where no KEDA is known to be, and stops nothing here; if that is a KEDA of the same objects, name its namespace by --keda-namespace"
        );
    }
}

fn complain(said: &mut Said, error: &str) {
    if said.is_news(error) {
        tracing::warn!(
            error,
            "cannot see whether a KEDA operator is alive; until that was seen, nothing is written. Needed: get on leases.coordination.k8s.io named as KEDA's (--leader-election-id of its Deployment, or {KEDA_LEASE}), list on pods where that is without --leader-elect, or --write-beside-keda"
        );
    }
}

fn judge(
    observed: &mut BTreeMap<Place, Observed>,
    leases: Vec<(Place, Lease)>,
    me: &str,
    now: Instant,
) -> Keda {
    let mut before = std::mem::take(observed);
    for (place, lease) in leases {
        let mut spec = lease.spec.unwrap_or_default();
        spec.lease_duration_seconds = spec.lease_duration_seconds.map(|s| s.min(LONGEST));
        let seen = Observed::again(before.remove(&place), spec, now);
        observed.insert(place, seen);
    }
    let mut alive = observed.iter().filter_map(|((namespace, lease), seen)| {
        let holder = seen.holder(now).filter(|holder| *holder != me)?;
        Some(Keda::Alive {
            namespace: namespace.clone(),
            lease: lease.clone(),
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
        found if found.is_alive() => tracing::warn!(
            keda = %found,
            "nothing is written while a KEDA operator is alive: values are served, HPAs and replicas are its own. Scale its operator to 0, or part the objects: WATCH_LABEL_SELECTOR=lagscale.io/owner here and !lagscale.io/owner there (KEDA 2.21), or WATCH_NAMESPACE at both"
        ),
        Keda::Apart { .. } => {
            tracing::info!(keda = %found, "objects are shared with a KEDA operator");
        }
        _ if before != Keda::Unknown => tracing::info!("the KEDA operator is gone"),
        _ => {}
    }
    seen.send_replace(found);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn lease(namespace: &str, holder: &str, renewed: i64) -> (Place, Lease) {
        let renewed = Timestamp::from_second(renewed).unwrap();
        let lease = Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: Some(15),
                renew_time: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(
                    renewed,
                )),
                ..LeaseSpec::default()
            }),
            ..Lease::default()
        };
        ((namespace.into(), KEDA_LEASE.into()), lease)
    }

    #[test]
    fn a_keda_is_alive_while_its_lease_changes_and_gone_once_it_stands_still_or_is_released() {
        let begin = Instant::now();
        let mut observed = BTreeMap::new();
        let mut judged = |after: u64, leases: Vec<(Place, Lease)>| {
            judge(
                &mut observed,
                leases,
                "me",
                begin + Duration::from_secs(after),
            )
        };
        let alive = Keda::Alive {
            namespace: "keda".into(),
            lease: KEDA_LEASE.into(),
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
            let (place, mut lease) = lease("keda", "k", 29);
            let spec = lease.spec.as_mut().unwrap();
            spec.lease_duration_seconds = Some(i32::MAX);
            vec![(place, lease)]
        };
        assert_eq!(judged(29, endless()), alive);
        assert_eq!(judged(88, endless()), alive);
        assert_eq!(judged(89, endless()), Keda::Gone);
    }
}
