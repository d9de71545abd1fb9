//! `lagscale check`: whether an installation works, one line each, with what to do where it does not.

mod authentications;
mod backends;
mod guard;
mod installation;
mod keda;
mod objects;
mod own;
mod rights;
mod shadow;
mod switch;

use std::fmt::{Debug, Write};

use clap::Args;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
    core::GroupVersionKind,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Done, Output};
use crate::text::api_error;

/// Flags of `check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: nothing failed. 1: something did, or the cluster could not be asked. 2: the arguments are wrong."
)]
pub struct CheckArgs {
    /// Where lagscale is installed.
    #[arg(long, default_value = "lagscale")]
    pub installed_in: String,
    /// Before KEDA is replaced: what would not be served here, and what its uninstall would take along.
    #[arg(long)]
    pub before_switch: bool,
    /// Where a lagscale that runs with --shadow would tell an HPA something else than it is told now, and why; exit code 1 where a value
    /// differs.
    #[arg(long, conflicts_with = "before_switch")]
    pub shadow: bool,
    /// Lines or JSON.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// A finding about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    what: String,
    found: String,
    /// The advice to a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            what: what.into(),
            found: found.into(),
            fix: None,
        }
    }

    fn warn(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            fix: Some(fix.into()),
            ..Self::ok(what, found)
        }
    }

    fn fail(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            ..Self::warn(what, found, fix)
        }
    }

    /// The kinds that can't be looked at, and why.
    fn unseen(what: impl Into<String>, error: &kube::Error) -> Self {
        let said = api_error(error);
        let fix = "check with the rights of a cluster administrator";
        Self::warn(what, format!("it can't be looked at: {said}"), fix)
    }
}

/// Runs it.
pub async fn check(args: &CheckArgs) -> Done {
    let client = super::cluster().await?;
    if args.shadow {
        let found = shadow::look(&client).await?;
        super::say(&found.written(args.output)?)?;
        return Ok(found.agrees());
    }
    let version = client.apiserver_version().await;
    let version =
        version.map_err(|e| format!("the API server does not answer: {}", api_error(&e)))?;
    let mut findings = vec![Finding::ok("API server", version.git_version)];
    if args.before_switch {
        findings.extend(switch::look(&client).await);
        findings.extend(keda::look(&client).await);
    } else {
        findings.extend(installation::look(&client, &args.installed_in).await);
        findings.extend(rights::look(&client, &args.installed_in).await);
        findings.extend(objects::look(&client).await);
    }
    super::say(&written(&findings, args.output)?)?;
    Ok(findings.iter().all(|f| f.level != Level::Fail))
}

/// Every object of a kind; else why they can't be looked at.
async fn list<K>(client: &Client, what: &str, params: &ListParams) -> Result<Vec<K>, Vec<Finding>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let listed = Api::<K>::all(client.clone()).list(params).await;
    let listed = listed.map_err(|error| vec![Finding::unseen(what, &error)]);
    Ok(listed?.items)
}

/// Namespace and name.
fn full_name(object: &impl ResourceExt) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("{namespace}/{}", object.name_any())
}

/// CRDs as they come: their schemas are nobody's business here.
fn crds(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}

fn written(findings: &[Finding], output: Output) -> Result<String, String> {
    if let Some(data) = output.data(findings) {
        return data;
    }
    let mut text = String::new();
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok   ",
            Level::Warn => "warn ",
            Level::Fail => "FAIL ",
        };
        let _ = write!(text, "{level} {}: {}", finding.what, finding.found);
        if let Some(fix) = &finding.fix {
            let _ = write!(text, " -> {fix}");
        }
        text.push('\n');
    }
    Ok(text)
}
