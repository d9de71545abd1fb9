//! The review of a TriggerAuthentication or ClusterTriggerAuthentication, in KEDA's words. Only the fields that are
//! judged are read; where its parameters come from is looked at when they are resolved.

use http::Uri;
use serde::{Deserialize, de::IgnoredAny};

/// The judged fields.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    file_path: Option<String>,
    azure_service_principal: Option<ServicePrincipal>,
    pod_identity: Option<PodIdentity>,
    oauth2: Option<OAuth2>,
}

/// A login at Azure; its credentials are judged by being there only.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServicePrincipal {
    #[serde(default)]
    tenant_id: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    cloud: String,
    #[serde(default)]
    active_directory_endpoint: String,
    client_secret: Option<IgnoredAny>,
    client_certificate: Option<IgnoredAny>,
    client_certificate_password: Option<IgnoredAny>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodIdentity {
    #[serde(default)]
    provider: String,
    identity_id: Option<String>,
    identity_tenant_id: Option<String>,
    identity_authority_host: Option<String>,
    role_arn: Option<String>,
    #[serde(rename = "externalID")]
    external_id: Option<String>,
    identity_owner: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OAuth2 {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    token_url: String,
}

/// Why it can't be stored, if it can't.
pub(super) fn check(spec: &Spec, cluster: bool) -> Option<String> {
    if !cluster && is_set(spec.file_path.as_ref()) {
        // A file of our own container is for those who may configure the cluster.
        return Some(
            "filePath is only supported for ClusterTriggerAuthentication, got kind: TriggerAuthentication"
                .into(),
        );
    }
    let principal = spec.azure_service_principal.as_ref();
    let principal = principal.and_then(ServicePrincipal::check);
    let identity = || spec.pod_identity.as_ref().and_then(PodIdentity::check);
    let principal = principal.map(|text| format!("azureServicePrincipal{text}"));
    let earlier = principal.or_else(identity);
    earlier.or_else(|| spec.oauth2.as_ref().and_then(OAuth2::check))
}

impl ServicePrincipal {
    /// The first fault in KEDA's order, behind the field's name.
    fn check(&self) -> Option<&'static str> {
        let secret = self.client_secret.is_some();
        let certificate = self.client_certificate.is_some();
        let private = self.cloud.eq_ignore_ascii_case("private");
        let endpoint = !self.active_directory_endpoint.is_empty();
        if self.tenant_id.is_empty() {
            Some(".tenantId is required when azureServicePrincipal is configured")
        } else if self.client_id.is_empty() {
            Some(".clientId is required when azureServicePrincipal is configured")
        } else if secret && certificate {
            Some(".clientSecret and azureServicePrincipal.clientCertificate are mutually exclusive")
        } else if !secret && !certificate {
            Some(" requires either clientSecret or clientCertificate")
        } else if self.client_certificate_password.is_some() && !certificate {
            Some(".clientCertificatePassword requires clientCertificate")
        } else if private && !endpoint {
            Some(".activeDirectoryEndpoint is required when cloud is Private")
        } else if endpoint && !private {
            Some(".activeDirectoryEndpoint can only be set when cloud is Private")
        } else {
            None
        }
    }
}

impl PodIdentity {
    fn check(&self) -> Option<String> {
        let empty = |field: &Option<String>| field.as_deref() == Some("");
        let text = match self.provider.as_str() {
            "azure-workload" => {
                if empty(&self.identity_id) {
                    "identityId of PodIdentity should not be empty. If it's set, identityId has to be different than \"\""
                } else if is_set(self.identity_authority_host.as_ref()) {
                    if is_set(self.identity_tenant_id.as_ref()) {
                        return None;
                    }
                    "identityTenantID of PodIdentity should not be nil or empty when identityAuthorityHost of PodIdentity is set"
                } else if empty(&self.identity_tenant_id) {
                    "identityTenantId of PodIdentity should not be empty. If it's set, identityTenantId has to be different than \"\""
                } else {
                    return None;
                }
            }
            "aws" => {
                let role = is_set(self.role_arn.as_ref());
                if role && self.identity_owner.as_deref() == Some("workload") {
                    "roleArn of PodIdentity can't be set if KEDA isn't identityOwner"
                } else if is_set(self.external_id.as_ref()) && !role {
                    "externalID of PodIdentity requires roleArn to be set"
                } else {
                    return None;
                }
            }
            _ => return None,
        };
        Some(text.into())
    }
}

impl OAuth2 {
    fn check(&self) -> Option<String> {
        if self.kind != "clientCredentials" {
            let found = &self.kind;
            return Some(format!(
                "oauth2.type must be 'clientCredentials', got '{found}'"
            ));
        }
        for (field, value) in [("clientId", &self.client_id), ("tokenUrl", &self.token_url)] {
            if value.is_empty() {
                return Some(format!(
                    "oauth2.{field} is required when oauth2 is configured"
                ));
            }
        }
        let url = self.token_url.parse::<Uri>().ok();
        let good = url.is_some_and(|u| {
            matches!(u.scheme_str(), Some("http" | "https"))
                && u.host().is_some_and(|h| !h.is_empty())
        });
        (!good).then(|| "oauth2.tokenUrl must be a valid http or https URL".into())
    }
}

fn is_set(field: Option<&String>) -> bool {
    field.is_some_and(|f| !f.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    fn refused(spec: Value, cluster: bool) -> Option<String> {
        check(&serde_json::from_value(spec).unwrap(), cluster)
    }

    #[test]
    fn an_oauth2_without_its_parts_is_refused() {
        let good =
            json!({"type": "clientCredentials", "clientId": "c", "tokenUrl": "https://idp/token"});
        assert_eq!(refused(json!({"oauth2": good}), false), None);
        for (field, value) in [
            ("type", "password"),
            ("clientId", ""),
            ("tokenUrl", ""),
            ("tokenUrl", "idp/token"),
            ("tokenUrl", "ftp://idp/token"),
        ] {
            let mut bad = good.clone();
            bad[field] = value.into();
            let said = refused(json!({"oauth2": bad}), false).unwrap();
            assert!(said.contains(field), "{said}");
        }
    }

    #[test]
    fn what_is_not_judged_may_be_anything() {
        let spec =
            json!({"secretTargetRef": 5, "podIdentity": {"provider": "gcp", "roleArn": "r"}});
        assert_eq!(refused(spec, false), None);
    }
}
