//! TriggerAuthentication and ClusterTriggerAuthentication: where a trigger's authentication parameters come from.
// Printer columns share their type, which the lint takes for a repetition.
#![allow(clippy::duplicated_attributes)]

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::bounded;

/// Names the sources of authentication parameters for triggers of its namespace. Of two sources of one parameter the later
/// in this order counts: env, configMapTargetRef, secretTargetRef, boundServiceAccountToken.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "keda.sh",
    version = "v1alpha1",
    kind = "TriggerAuthentication",
    plural = "triggerauthentications",
    shortname = "ta",
    shortname = "triggerauth",
    namespaced,
    status = "TriggerAuthenticationStatus",
    printcolumn(
        name = "PodIdentity",
        type_ = "string",
        json_path = ".spec.podIdentity.provider"
    ),
    printcolumn(
        name = "Secret",
        type_ = "string",
        json_path = ".spec.secretTargetRef[*].name"
    ),
    printcolumn(name = "Env", type_ = "string", json_path = ".spec.env[*].name"),
    printcolumn(
        name = "VaultAddress",
        type_ = "string",
        json_path = ".spec.hashiCorpVault.address"
    ),
    printcolumn(
        name = "ScaledObjects",
        type_ = "string",
        json_path = ".status.scaledobjects",
        priority = 1
    ),
    printcolumn(
        name = "ScaledJobs",
        type_ = "string",
        json_path = ".status.scaledjobs",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct TriggerAuthenticationSpec {
    /// Parameters from Secrets.
    #[serde(
        default,
        deserialize_with = "bounded::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub secret_target_ref: Vec<TargetRef>,
    /// Parameters from ConfigMaps.
    #[serde(
        default,
        deserialize_with = "bounded::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub config_map_target_ref: Vec<TargetRef>,
    /// Parameters from the environment of the scale target's containers.
    #[serde(
        default,
        deserialize_with = "bounded::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub env: Vec<EnvRef>,
    /// Parameters from tokens of service accounts, asked for and renewed.
    #[serde(
        default,
        deserialize_with = "bounded::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub bound_service_account_token: Vec<TokenRef>,
    /// A file of parameters, a JSON map, below `--filepath-auth-root-path`; where it is set nothing else is read. Of a
    /// ClusterTriggerAuthentication only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    /// Not supported, unless the provider is `none`; an object that names it is told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kept")]
    pub pod_identity: Option<Kept>,
    /// Not supported; an object that names it is told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kept")]
    pub hashi_corp_vault: Option<Kept>,
    /// Not supported; an object that names it is told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kept")]
    pub azure_key_vault: Option<Kept>,
    /// Not supported; an object that names it is told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kept")]
    pub gcp_secret_manager: Option<Kept>,
    /// Not supported; an object that names it is told so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kept")]
    pub aws_secret_manager: Option<Kept>,
    /// For triggers of Azure; no trigger of lagscale reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kept")]
    pub azure_service_principal: Option<Kept>,
    /// For triggers that ask over HTTP; no trigger of lagscale reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kept")]
    pub oauth2: Option<Kept>,
}

impl TriggerAuthenticationSpec {
    /// The list that has more entries than are read, if one has.
    #[must_use]
    pub fn too_many(&self) -> Option<&'static str> {
        let lists = [
            ("env", self.env.len()),
            ("configMapTargetRef", self.config_map_target_ref.len()),
            ("secretTargetRef", self.secret_target_ref.len()),
            (
                "boundServiceAccountToken",
                self.bound_service_account_token.len(),
            ),
        ];
        let long = lists
            .into_iter()
            .find(|(_, length)| *length > bounded::MOST);
        long.map(|(field, _)| field)
    }

    /// Sources of it that are not supported, by the names of their fields.
    #[must_use]
    pub fn unsupported(&self) -> Vec<&'static str> {
        // `podIdentity` with the provider `none` is what leaving it out is.
        let identity = self.pod_identity.as_ref();
        let identity = identity.filter(|i| i.provider.as_deref().is_some_and(|p| p != "none"));
        let sources = [
            ("podIdentity", identity),
            ("hashiCorpVault", self.hashi_corp_vault.as_ref()),
            ("azureKeyVault", self.azure_key_vault.as_ref()),
            ("gcpSecretManager", self.gcp_secret_manager.as_ref()),
            ("awsSecretManager", self.aws_secret_manager.as_ref()),
        ];
        let named = sources.into_iter().filter(|(_, value)| value.is_some());
        named.map(|(source, _)| source).collect()
    }
}

/// A source of another kind: that it is there is all that counts, and of `podIdentity` its provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// `none`, or somebody who vouches for pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// An authentication for triggers of every namespace; what it names is looked for in the cluster object namespace.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "keda.sh",
    version = "v1alpha1",
    kind = "ClusterTriggerAuthentication",
    plural = "clustertriggerauthentications",
    shortname = "cta",
    shortname = "clustertriggerauth",
    status = "TriggerAuthenticationStatus",
    printcolumn(
        name = "PodIdentity",
        type_ = "string",
        json_path = ".spec.podIdentity.provider"
    ),
    printcolumn(
        name = "Secret",
        type_ = "string",
        json_path = ".spec.secretTargetRef[*].name"
    ),
    printcolumn(name = "Env", type_ = "string", json_path = ".spec.env[*].name"),
    printcolumn(name = "FilePath", type_ = "string", json_path = ".spec.filePath"),
    printcolumn(
        name = "VaultAddress",
        type_ = "string",
        json_path = ".spec.hashiCorpVault.address"
    ),
    printcolumn(
        name = "ScaledObjects",
        type_ = "string",
        json_path = ".status.scaledobjects",
        priority = 1
    ),
    printcolumn(
        name = "ScaledJobs",
        type_ = "string",
        json_path = ".status.scaledjobs",
        priority = 1
    )
)]
#[serde(transparent)]
pub struct ClusterTriggerAuthenticationSpec(pub TriggerAuthenticationSpec);

/// The users of it, as KEDA keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerAuthenticationStatus {
    /// Names of ScaledObjects, with commas between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaledobjects: Option<String>,
    /// Names of ScaledJobs, with commas between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaledjobs: Option<String>,
}

/// One parameter from one key of a Secret or ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetRef {
    /// The parameter, such as `password`.
    pub parameter: String,
    /// The Secret or ConfigMap.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// One parameter from one variable of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvRef {
    /// The parameter, such as `password`.
    pub parameter: String,
    /// The variable.
    pub name: String,
    /// The container; the first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
}

/// One parameter that is a token of a service account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenRef {
    /// The parameter, such as `password`.
    pub parameter: String,
    /// The service account.
    pub service_account_name: String,
}

/// An object whose fields are stored as they are.
fn kept(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
