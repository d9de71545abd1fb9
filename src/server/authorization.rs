//! May they: a SubjectAccessReview for everything but health, remembered for ten seconds. An error is never
//! remembered and never lets anybody in.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use moka::future::Cache;
use serde_json::json;

use super::{
    identity::User,
    reply::Failure,
    route::{GROUP, Path, VERSION},
};

/// As the reference remembers decisions.
const REMEMBERED: Duration = Duration::from_secs(10);
const MOST: u64 = 8192;
const DEADLINE: Duration = Duration::from_secs(10);
/// Who can make the key this long is asked about each time instead.
const LONGEST_KEY: usize = 10_000;

/// What is asked about a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    user: User,
    verb: String,
    path: String,
}

/// Asks the API server and remembers.
pub(super) struct Authorizer {
    reviews: Api<SubjectAccessReview>,
    answers: Cache<Question, Arc<Answer>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    allowed: bool,
    reason: String,
}

impl Authorizer {
    pub fn new(client: Client) -> Self {
        Self {
            reviews: Api::all(client),
            answers: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(REMEMBERED)
                .build(),
        }
    }

    /// Lets `user` do `method` on `path`, or says why not.
    pub async fn allow(
        &self,
        user: &User,
        method: &http::Method,
        path: &Path,
    ) -> Result<(), Failure> {
        if user.groups.iter().any(|g| g == "system:masters") {
            return Ok(());
        }
        let question = Question {
            user: user.clone(),
            verb: verb(method, path),
            path: path.text.clone(),
        };
        let answer = if size(&question) > LONGEST_KEY {
            self.ask(&question, path).await.map_err(Arc::new)
        } else {
            let ask = self.ask(&question, path);
            self.answers.try_get_with_by_ref(&question, ask).await
        };
        let answer = answer.map_err(|error| {
            tracing::warn!(%error, user = %user.name, "cannot ask who may");
            let message = format!(
                "Internal error occurred: cannot review the access of user {}: {error}",
                user.name
            );
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
        })?;
        if answer.allowed {
            Ok(())
        } else {
            Err(forbidden(user, &question.verb, path, &answer.reason))
        }
    }

    async fn ask(&self, question: &Question, path: &Path) -> Result<Arc<Answer>, String> {
        let user = &question.user;
        let verb = Some(question.verb.clone());
        let mut spec = SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            groups: Some(user.groups.clone()),
            uid: (!user.uid.is_empty()).then(|| user.uid.clone()),
            extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
            ..SubjectAccessReviewSpec::default()
        };
        if let Some((namespace, resource, name)) = path.resource() {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            spec.resource_attributes = Some(ResourceAttributes {
                group: Some(GROUP.into()),
                version: Some(VERSION.into()),
                namespace: some(namespace),
                resource: some(resource),
                name: some(name),
                verb,
                ..ResourceAttributes::default()
            });
        } else {
            spec.non_resource_attributes = Some(NonResourceAttributes {
                path: Some(path.text.clone()),
                verb,
            });
        }
        let review = SubjectAccessReview {
            spec,
            ..SubjectAccessReview::default()
        };
        let params = PostParams::default();
        let asked = tokio::time::timeout(DEADLINE, self.reviews.create(&params, &review)).await;
        let review = match asked {
            Ok(Ok(review)) => review,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no answer within {} s", DEADLINE.as_secs())),
        };
        let status = review.status.unwrap_or_default();
        if !status.allowed
            && let Some(error) = status.evaluation_error.filter(|e| !e.is_empty())
        {
            return Err(error);
        }
        Ok(Arc::new(Answer {
            allowed: status.allowed,
            reason: status.reason.unwrap_or_default(),
        }))
    }
}

fn size(question: &Question) -> usize {
    let extra = question.user.extra.iter();
    let extra = extra.map(|(k, v)| k.len() + v.iter().map(String::len).sum::<usize>());
    let groups = question.user.groups.iter().map(String::len);
    question.path.len() + question.user.name.len() + groups.sum::<usize>() + extra.sum::<usize>()
}

/// As Kubernetes' RequestInfo names it.
fn verb(method: &http::Method, path: &Path) -> String {
    let Some((_, _, name)) = path.resource() else {
        return method.as_str().to_ascii_lowercase();
    };
    match method.as_str() {
        "GET" | "HEAD" if name.is_empty() => "list".into(),
        "GET" | "HEAD" => "get".into(),
        "POST" => "create".into(),
        "PUT" => "update".into(),
        "PATCH" => "patch".into(),
        "DELETE" if name.is_empty() => "deletecollection".into(),
        "DELETE" => "delete".into(),
        _ => String::new(),
    }
}

fn forbidden(user: &User, verb: &str, path: &Path, reason: &str) -> Failure {
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    };
    let user = escaped(&user.name);
    let (mut message, details) = if let Some((namespace, resource, name)) = path.resource() {
        let place = if namespace.is_empty() {
            "at the cluster scope".into()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let object = if name.is_empty() {
            format!("{resource}.{GROUP}")
        } else {
            format!("{resource}.{GROUP} \"{name}\"")
        };
        let message = format!(
            "{object} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{GROUP}\" {place}"
        );
        let mut details = json!({"group": GROUP, "kind": resource});
        if !name.is_empty() {
            details["name"] = name.into();
        }
        (message, details)
    } else {
        let path = escaped(&path.text);
        let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"");
        (message, json!({}))
    };
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    Failure::new(StatusCode::FORBIDDEN, "Forbidden", message).with(details)
}
