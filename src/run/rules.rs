//! From flags to the settings of the rooms, and what of them is refused.

use std::{error::Error, time::Duration};

use kube::Config;

use crate::{
    api_client,
    args::{CredentialArgs, DelegationArgs, ElectionArgs, RunArgs, ScopeArgs},
    controller::{CredentialRules, ElectionRules, KedaRules, Scope, Terms, TokenPolicy},
    delegation::{self, backends},
    installation,
};

/// Where the kubelet tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Where credentials may come from. An empty value of a flag is none: charts set the environment either way.
pub(super) fn credentials(scope: &Scope, args: CredentialArgs) -> Result<CredentialRules, String> {
    let own = own_namespace(&args);
    let (mode, audiences) = (
        &args.service_account_token_mode,
        &args.service_account_token_audiences,
    );
    let tokens = TokenPolicy::new(mode, audiences)
        .map_err(|error| format!("invalid service account token policy: {error}"))?;
    if mode == "legacy" {
        tracing::warn!(
            "--service-account-token-mode=legacy: tokens of service accounts have no audience, and are good for the API server too"
        );
    }
    Ok(CredentialRules {
        by_namespace: !scope.namespaces.is_empty(),
        cluster_namespace: set(args.cluster_object_namespace).unwrap_or(own),
        restricted: args.restrict_secret_access,
        cluster_needs_hosts: args.cluster_auth_needs_hosts,
        files: args.filepath_auth_root_path,
        token_life: args.bound_service_account_token_expiry,
        tokens,
    })
}

/// The objects that are handled here.
pub(super) fn scope(args: ScopeArgs) -> Scope {
    Scope {
        namespaces: Scope::namespaces(&args.namespace.unwrap_or_default()),
        objects: args.watch_label_selector,
        authentications: args.watch_label_selector_for_triggerauth,
    }
}

/// Lets the settings of an installation go before the flags, where that was asked for; returns them.
pub(super) async fn installed(
    args: &mut RunArgs,
) -> Result<Option<installation::Settings>, Box<dyn Error>> {
    if !args.scope.keda_controller {
        return Ok(None);
    }
    let client = api_client::client(Config::infer().await?)?;
    let namespace = own_namespace(&args.credentials);
    let settings = installation::settings(&client, &namespace).await?;
    let log = args
        .zap_log_level
        .take()
        .unwrap_or_else(|| args.log.clone());
    args.log = settings.log(&log);
    args.log_format = settings.format.unwrap_or(args.log_format);
    args.zap_time_encoding = settings.times.unwrap_or(args.zap_time_encoding);
    if let Some(namespaces) = &settings.namespaces {
        args.scope.namespace = Some(namespaces.clone());
    }
    Ok(Some(settings))
}

fn set(value: Option<String>) -> Option<String> {
    value.filter(|v| !v.is_empty())
}

/// The namespace it runs in.
pub(super) fn own_namespace(args: &CredentialArgs) -> String {
    let told = || std::fs::read_to_string(NAMESPACE_FILE).ok();
    set(args.pod_namespace.clone())
        .or_else(|| set(told().map(|n| n.trim().to_owned())))
        .unwrap_or_else(|| "lagscale".to_owned())
}

/// Other servers of external metrics. `service` is lagscale's own.
pub(super) fn delegation(
    args: DelegationArgs,
    namespace: &str,
    service: &str,
) -> Result<delegation::Rules, String> {
    Ok(delegation::Rules {
        namespace: namespace.to_owned(),
        service: service.to_owned(),
        account: args.delegate_service_account,
        backends: backends(&args.backends)?,
        addresses: args.service_addresses.into_iter().collect(),
    })
}

/// Which replica writes. No two processes have one identity, whatever they are called.
pub(super) fn election(
    args: ElectionArgs,
    namespace: String,
    scope: Scope,
) -> Result<ElectionRules, String> {
    let terms = Terms {
        lease: args.leader_election_lease_duration,
        renew: args.leader_election_renew_deadline,
        retry: args.leader_election_retry_period,
    };
    let second = Duration::from_secs(1);
    if terms.lease < second || terms.lease <= terms.renew || terms.renew <= terms.retry {
        return Err(format!(
            "--leader-election-lease-duration={:?} must be at least a second and longer than --leader-election-renew-deadline={:?}, and that longer than --leader-election-retry-period={:?}",
            terms.lease, terms.renew, terms.retry
        ));
    }
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = set(args.pod_name).or_else(|| set(host().map(|h| h.trim().to_owned())));
    let name = name.unwrap_or_else(|| "lagscale".to_owned());
    Ok(ElectionRules {
        namespace,
        name: args.leader_election_id,
        identity: format!("{name}_{:032x}", fastrand::u128(..)),
        terms,
        beside_keda: args.write_beside_keda,
        shadow: args.shadow,
        keda: KedaRules {
            namespaces: args.keda_namespace,
            lease: set(args.keda_lease),
            scope,
        },
    })
}
