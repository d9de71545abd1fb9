//! The findings about a KEDA's operator that is alive, beside which lagscale writes nothing.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::{Finding, own::Own};
use crate::controller::{KEDA_LEASE, keda_places, unelected_keda};

const WHAT: &str = "KEDA's operator";

/// Seconds since a lease was renewed, by this machine's clock.
pub(super) fn renewed(spec: &LeaseSpec) -> i64 {
    let renewed = spec.renew_time.as_ref().map_or(0, |t| t.0.as_second());
    Timestamp::now().as_second() - renewed
}

pub(super) async fn look(client: &Client, own: &Own) -> Vec<Finding> {
    let found = async {
        let places = keda_places(client, &own.keda_rules()).await?;
        let api: Api<Lease> = Api::all(client.clone());
        let leases = api.list(&ListParams::default()).await?.items;
        let unelected = unelected_keda(client, &places).await?;
        Ok((places, leases, unelected))
    };
    let (places, leases, unelected) = match found.await {
        Err(error) => return vec![Finding::unseen(WHAT, &error)],
        Ok(found) => found,
    };
    let findings = leases.into_iter().filter_map(|lease| {
        let place = (lease.namespace().unwrap_or_default(), lease.name_any());
        let spec = lease.spec.unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|h| !h.is_empty())?;
        let (namespace, lease) = &place;
        if renewed(&spec) >= 60 || places.apart.contains(namespace) {
            return None;
        }
        if places.leases.contains(&place) {
            return Some(in_the_way(
                namespace,
                "keda-operator",
                &format!("{namespace}/{holder} is alive"),
            ));
        }
        let usual = lease == KEDA_LEASE;
        usual.then(|| {
            let found = format!("{holder} renews a Lease {namespace}/{lease}, where no KEDA is known to be");
            let fix = "if it is a KEDA of the same objects, name its namespace by --keda-namespace; else nothing";
            Finding::warn(WHAT, found, fix)
        })
    });
    let mut findings: Vec<Finding> = findings.collect();
    findings.extend(unelected.map(|(namespace, deployment)| {
        let found = format!("the Deployment {namespace}/{deployment} is without --leader-elect, and wants pods or has some");
        in_the_way(&namespace, &deployment, &found)
    }));
    findings
}

fn in_the_way(namespace: &str, deployment: &str, found: &str) -> Finding {
    let found = format!("{found}: lagscale writes nothing beside it");
    let fix = format!("kubectl scale deployment -n {namespace} {deployment} --replicas=0");
    Finding::fail(WHAT, found, fix)
}
