//! One read of one reference.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::{
    Api, Client,
    api::PostParams,
    core::{DynamicObject, ObjectMeta},
};

use super::{
    file, kinds,
    reference::{Content, CredentialRules, Name, Reference, Workload},
    values::Values,
};
use crate::{
    account_token,
    controller::{deadline::within, resolve::Template, write::target},
    text::api_error,
};

/// Files, of which nothing tells a change.
const FILE_AGAIN: Duration = Duration::from_secs(2);
/// Scale targets of a kind that is not watched.
const WORKLOAD_AGAIN: Duration = Duration::from_secs(30);
/// A service account that is not there yet.
const ACCOUNT_AGAIN: Duration = Duration::from_secs(10);

/// The result of a read; `again` is after which time to read again, `None` where a watch tells.
pub(in crate::controller) enum Fetch {
    /// The version that is known already.
    Same { again: Duration },
    /// There is no such thing.
    Missing { again: Option<Duration> },
    /// Its content at this version.
    Brought {
        version: String,
        content: Content,
        again: Option<Duration>,
    },
}

/// Reads a reference of which `known` is the version that is kept.
pub(super) async fn fetch(
    client: &Client,
    rules: &CredentialRules,
    reference: &Reference,
    known: Option<&str>,
) -> Result<Fetch, String> {
    let read = async {
        match reference {
            Reference::Secret(name) => secret(client, name).await,
            Reference::ConfigMap(name) => config_map(client, name).await,
            Reference::Workload(of) => workload(client, of, reference).await,
            Reference::Token(name) => token(client, name, rules).await,
            Reference::File(path) => from_file(rules, path, known).await,
        }
    };
    within(read).await
}

async fn secret(client: &Client, (namespace, name): &Name) -> Result<Fetch, String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let Some(secret) = api.get_opt(name).await.map_err(|e| api_error(&e))? else {
        return Ok(Fetch::Missing { again: None });
    };
    let values = secret.data.unwrap_or_default().into_iter();
    let values = values.map(|(key, value)| (key, value.0));
    Ok(brought(secret.metadata, Values::of(values)))
}

async fn config_map(client: &Client, (namespace, name): &Name) -> Result<Fetch, String> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let Some(map) = api.get_opt(name).await.map_err(|e| api_error(&e))? else {
        return Ok(Fetch::Missing { again: None });
    };
    let values = map.data.unwrap_or_default().into_iter();
    let values = values.map(|(key, value)| (key, value.into_bytes()));
    Ok(brought(map.metadata, Values::of(values)))
}

fn brought(metadata: ObjectMeta, values: Values) -> Fetch {
    Fetch::Brought {
        version: metadata.resource_version.unwrap_or_default(),
        content: Content::Values(values),
        again: None,
    }
}

async fn workload(
    client: &Client,
    workload: &Workload,
    reference: &Reference,
) -> Result<Fetch, String> {
    let again = (!kinds::is_watched(reference)).then_some(WORKLOAD_AGAIN);
    let resource = target::resource_of(client, &workload.api_version, &workload.kind).await?;
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &workload.namespace, &resource);
    let Some(object) = api
        .get_opt(&workload.name)
        .await
        .map_err(|e| api_error(&e))?
    else {
        return Ok(Fetch::Missing { again });
    };
    let version = kinds::version(reference, &object.metadata);
    let spec = &object.data["spec"];
    let Some(of) = Workload::referred(&workload.namespace, spec) else {
        return Ok(Fetch::Brought {
            version,
            content: Content::Template(Template::of(&spec["template"])),
            again,
        });
    };
    let resource = target::resource_of(client, &of.api_version, &of.kind).await?;
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &of.namespace, &resource);
    // Nothing tells a change of it: it is looked at by the clock.
    let again = Some(WORKLOAD_AGAIN);
    let Some(referred) = api.get_opt(&of.name).await.map_err(|e| api_error(&e))? else {
        return Ok(Fetch::Missing { again });
    };
    let its = referred.metadata.resource_version.unwrap_or_default();
    Ok(Fetch::Brought {
        version: format!("{version} {its}"),
        content: Content::Template(Template::of(&referred.data["spec"]["template"])),
        again,
    })
}

async fn token(client: &Client, account: &Name, rules: &CredentialRules) -> Result<Fetch, String> {
    let (life, audience) = (rules.token_life, rules.tokens.audience(account)?);
    let (namespace, name) = account;
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = account_token::request(audience, life);
    let params = PostParams::default();
    let made = match api.create_token_request(name, &params, &request).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            let again = Some(ACCOUNT_AGAIN);
            return Ok(Fetch::Missing { again });
        }
        made => made.map_err(|e| api_error(&e))?,
    };
    let granted = account_token::granted(&made, life);
    let status = made.status.ok_or("the API server gave no token")?;
    let renewed_after = account_token::renewed_after(granted);
    Ok(Fetch::Brought {
        version: status.expiration_timestamp.0.to_string(),
        content: Content::Values(Values::of([(
            "token".to_owned(),
            status.token.into_bytes(),
        )])),
        again: Some(renewed_after.max(ACCOUNT_AGAIN)),
    })
}

async fn from_file(
    rules: &CredentialRules,
    path: &str,
    known: Option<&str>,
) -> Result<Fetch, String> {
    let root = rules.files.clone().ok_or("no root for files is set")?;
    let (path, known) = (path.to_owned(), known.map(str::to_owned));
    let read = move || file::read(&root, &path, known.as_deref());
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(|_| "reading it was given up".to_owned())?;
    Ok(match read? {
        file::Read::Same => Fetch::Same { again: FILE_AGAIN },
        file::Read::Missing => Fetch::Missing {
            again: Some(FILE_AGAIN),
        },
        file::Read::Brought(version, values) => Fetch::Brought {
            version,
            content: Content::Values(values.into()),
            again: Some(FILE_AGAIN),
        },
    })
}
