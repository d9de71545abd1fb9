//! `lagscale explain`: why a ScaledObject has the replicas it has, asked of a running lagscale through the API server.

use std::fmt::Write;

use clap::Args;
use kube::Client;

use super::{
    Done, Output,
    answers::{Answered, answers},
};
use crate::{
    scaling::Explanation,
    server::{GROUP, OWN_GROUP, VERSION},
    text::api_error,
};

/// Flags of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: told. 1: it could not be asked. 2: the arguments are wrong.")]
pub struct ExplainArgs {
    /// The namespace; that of the kubeconfig's context where it is not set.
    #[arg(long, short)]
    pub namespace: Option<String>,
    /// The ScaledObject; with --hpa the HPA.
    pub name: String,
    /// The server that answers each external metric of an HPA, lagscale or another one, and what it says.
    #[arg(long)]
    pub hpa: bool,
    /// Text, JSON or YAML.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs it.
pub async fn explain(args: &ExplainArgs) -> Done {
    let client = super::cluster().await?;
    let namespace = args.namespace.as_deref();
    let namespace = namespace.unwrap_or_else(|| client.default_namespace());
    if args.hpa {
        let found = answers(&client, namespace, &args.name).await?;
        let data = args.output.data(&found);
        super::say(&data.unwrap_or_else(|| Ok(told(&found)))?)?;
        return Ok(true);
    }
    let found = match ask(&client, GROUP, namespace, &args.name).await {
        Ok(found) => found,
        // Another server has that group, and lagscale only looks.
        Err(error) => ask(&client, OWN_GROUP, namespace, &args.name)
            .await
            .map_err(|_| error)?,
    };
    super::say(&written(&found, args.output)?)?;
    Ok(true)
}

/// The explanation of a ScaledObject, asked under one of lagscale's groups.
pub(super) async fn ask(
    client: &Client,
    group: &str,
    namespace: &str,
    name: &str,
) -> Result<Explanation, String> {
    let path = format!("/apis/{group}/{VERSION}/namespaces/{namespace}/scaledobjects/{name}");
    let request = http::Request::get(path).body(Vec::new());
    let answer = client.request(request.map_err(|e| e.to_string())?).await;
    answer.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 503 => super::unanswered(group, &status.message),
        error => api_error(&error),
    })
}

fn told(found: &[Answered]) -> String {
    let mut text = String::new();
    for Answered {
        metric, by, answer, ..
    } in found
    {
        let _ = writeln!(text, "{metric}: {by} answers {answer}");
    }
    if text.is_empty() {
        text.push_str("it has no external metric\n");
    }
    text
}

fn written(found: &Explanation, output: Output) -> Result<String, String> {
    if let Some(data) = output.data(found) {
        return data;
    }
    let Explanation {
        namespace,
        name,
        target,
        ..
    } = found;
    let replicas = found
        .replicas
        .map_or_else(|| "an unknown number of".to_owned(), |r| r.to_string());
    let mut text = format!("{namespace}/{name}: {target} has {replicas} replicas\n\nbecause\n");
    for sentence in &found.because {
        let _ = writeln!(text, "- {sentence}");
    }
    for compared in &found.shadow {
        let none = || "nothing".to_owned();
        let (hpa, own) = (compared.hpa.clone(), compared.own.clone());
        let (hpa, own) = (hpa.unwrap_or_else(none), own.unwrap_or_else(none));
        let _ = writeln!(
            text,
            "- the HPA has {hpa} for {}, lagscale would tell it {own}",
            compared.metric
        );
    }
    if !found.would_change.is_empty() {
        text.push_str("\nwhat would change it\n");
        for sentence in &found.would_change {
            let _ = writeln!(text, "- {sentence}");
        }
    }
    Ok(text)
}
