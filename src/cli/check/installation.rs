//! Checks of the installation: CRDs, registration, certificates, replicas and who leads.

use jiff::Timestamp;
use k8s_openapi::{
    api::{admissionregistration::v1::ValidatingWebhookConfiguration, coordination::v1::Lease},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{Api, Client};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Finding, backends, guard, own::Own};
use crate::{
    certificates::{Owner, Registration},
    server::API_SERVICE,
};

const CRDS: [&str; 4] = [
    "scaledobjects.keda.sh",
    "triggerauthentications.keda.sh",
    "clustertriggerauthentications.keda.sh",
    "lagmetrics.lagscale.io",
];
const SOON_DAYS: i64 = 14;
const APPLY: &str = "kubectl apply --server-side -k manifests";

pub(super) async fn look(client: &Client, namespace: &str) -> Vec<Finding> {
    let own = Own::read(client, namespace).await;
    let mut findings = crds(client).await;
    findings.extend(api_service(client, namespace, &own).await);
    findings.push(webhooks(client).await);
    findings.push(replicas(namespace, &own));
    findings.push(leader(client, namespace).await);
    findings.extend(guard::look(client, &own).await);
    findings
}

async fn crds(client: &Client) -> Vec<Finding> {
    let api = super::crds(client);
    let mut findings = Vec::new();
    for name in CRDS {
        let what = format!("CRD {name}");
        findings.push(match api.get_opt(name).await {
            Err(error) => Finding::unseen(what, &error),
            Ok(None) => Finding::fail(
                what,
                "it is not there",
                "lagscale crd | kubectl apply --server-side -f -",
            ),
            Ok(Some(crd)) => {
                let conditions = crd.data["status"]["conditions"].as_array().cloned();
                let established = conditions.is_some_and(|all| {
                    let mut all = all.iter();
                    all.any(|c| c["type"] == "Established" && c["status"] == "True")
                });
                if established {
                    Finding::ok(what, "established")
                } else {
                    Finding::fail(
                        what,
                        "not established",
                        format!("kubectl describe crd {name}"),
                    )
                }
            }
        });
    }
    findings
}

async fn api_service(client: &Client, namespace: &str, own: &Own) -> Vec<Finding> {
    let what = format!("APIService {API_SERVICE}");
    let api: Api<APIService> = Api::all(client.clone());
    let found = match api.get_opt(API_SERVICE).await {
        Ok(found) => found,
        Err(error) => return vec![Finding::unseen(what, &error)],
    };
    let registration = Registration {
        namespace: namespace.to_owned(),
        service: "lagscale".to_owned(),
        port: 443,
        webhooks: String::new(),
        take: false,
        makes: false,
    };
    let found = match (registration.owner(found.as_ref()), found) {
        (Owner::Us, Some(found)) => found,
        (Owner::Other(owner), _) => {
            let fix = "uninstall that, or run lagscale with --take-apiservice";
            return vec![Finding::fail(
                what,
                format!("it leads to {owner}: HPAs do not ask lagscale"),
                fix,
            )];
        }
        _ => {
            let fix = "the leader makes it: look at the logs of the one that `Lease` below names";
            return vec![Finding::fail(what, "it is not there", fix)];
        }
    };
    let conditions = found.status.and_then(|s| s.conditions).unwrap_or_default();
    let available = conditions.iter().find(|c| c.type_ == "Available");
    let mut findings = vec![match available {
        Some(c) if c.status == "True" => Finding::ok(&what, "available"),
        Some(c) => {
            let message = c.message.as_deref().unwrap_or_default();
            let fix = "is a replica ready, and may kube-apiserver reach it (network policies)?";
            Finding::fail(&what, format!("not available: {message}"), fix)
        }
        None => Finding::warn(
            &what,
            "kube-apiserver has not said anything of it yet",
            "look again",
        ),
    }];
    let bundle = found.spec.and_then(|s| s.ca_bundle).unwrap_or_default();
    findings.push(ca(&String::from_utf8_lossy(&bundle.0)));
    findings.extend(backends::look(client, namespace, own).await);
    findings
}

/// How long what kube-apiserver trusts is good for.
fn ca(bundle: &str) -> Finding {
    let what = "serving CA";
    let ends = CertificateDer::pem_slice_iter(bundle.as_bytes()).filter_map(|der| {
        let der = der.ok()?;
        let (_, found) = X509Certificate::from_der(&der).ok()?;
        Some(found.validity().not_after.timestamp())
    });
    let Some(last) = ends.max() else {
        let fix = "without `caBundle` nobody is trusted: look at the leader's logs";
        return Finding::fail(what, "kube-apiserver is told of none", fix);
    };
    let days = (last - Timestamp::now().as_second()) / 86_400;
    let found = format!("it ends in {days} days");
    if days < SOON_DAYS {
        return Finding::warn(
            what,
            found,
            "renew it, or let lagscale do so: run it without --tls-cert-file",
        );
    }
    Finding::ok(what, found)
}

async fn webhooks(client: &Client) -> Finding {
    let what = "admission webhooks";
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    match api.get_opt("lagscale-admission").await {
        Err(error) => Finding::unseen(what, &error),
        Ok(None) => Finding::warn(
            what,
            "there are none: mistakes are told by conditions only",
            APPLY,
        ),
        Ok(Some(found)) => {
            let all = found.webhooks.unwrap_or_default();
            let untrusted = all.iter().filter(|w| {
                w.client_config
                    .ca_bundle
                    .as_ref()
                    .is_none_or(|b| b.0.is_empty())
            });
            match untrusted.count() {
                0 => Finding::ok(what, format!("{} know the serving CA", all.len())),
                some => Finding::warn(
                    what,
                    format!("{some} know no CA, so kube-apiserver goes on without them"),
                    "the leader tells them: look at its logs",
                ),
            }
        }
    }
}

fn replicas(namespace: &str, own: &Own) -> Finding {
    let what = format!("Deployment {namespace}/lagscale");
    let found = match &own.0 {
        Err(error) => return Finding::unseen(what, error),
        Ok(None) => return Finding::fail(what, "it is not there", APPLY),
        Ok(Some(found)) => found,
    };
    let wanted = found.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let ready = found.status.as_ref().and_then(|s| s.ready_replicas);
    let ready = ready.unwrap_or(0);
    let said = format!("{ready} of {wanted} replicas are ready");
    if ready == 0 {
        let fix =
            format!("kubectl describe pods -n {namespace} -l app.kubernetes.io/name=lagscale");
        return Finding::fail(what, said, fix);
    }
    if ready < wanted || wanted < 2 {
        return Finding::warn(what, said, "with two, metrics go on while one is away");
    }
    Finding::ok(what, said)
}

async fn leader(client: &Client, namespace: &str) -> Finding {
    let what = format!("Lease {namespace}/lagscale");
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let spec = match api.get_opt("lagscale").await {
        Err(error) => return Finding::unseen(what, &error),
        Ok(found) => found.and_then(|l| l.spec).unwrap_or_default(),
    };
    let holder = spec.holder_identity.clone().unwrap_or_default();
    let age = guard::renewed(&spec);
    if holder.is_empty() || age > i64::from(spec.lease_duration_seconds.unwrap_or(15)) {
        let fix =
            "nothing is written: may the ServiceAccount write leases, and is a replica ready?";
        return Finding::fail(what, "nobody leads", fix);
    }
    Finding::ok(what, format!("{holder} leads, renewed {age} s ago"))
}
