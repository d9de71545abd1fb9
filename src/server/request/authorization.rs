//! May they: a SubjectAccessReview for everything but health, remembered for ten seconds. An error is never
//! remembered and never lets anybody in. Who may read every metric of every namespace is asked about once: HPAs come
//! less often than answers are forgotten, and each of their metrics would cost a review of its own.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{Method, StatusCode, Uri};
use k8s_openapi::{
    api::authorization::v1::{
        LabelSelectorAttributes, NonResourceAttributes, ResourceAttributes, SubjectAccessReview,
        SubjectAccessReviewSpec, SubjectAccessReviewStatus,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement,
};
use kube::{Api, Client};
use moka::future::Cache;

use crate::{
    selector::Selector,
    server::{
        answer::failure::{Details, Failure},
        guest::Standing,
        request::query,
        request::reviews::{Digest, Gate, Gates, Unanswered, reviewed},
        request::route::{GROUP, Path, Place, VERSION},
        request::user::User,
    },
};

/// As the reference remembers decisions.
const REMEMBERED: Duration = Duration::from_secs(10);
const MOST: u64 = 8192;
/// Longer requests are not remembered: the caller controls the key's size.
const LONGEST: usize = 10_000;

/// A request that is to be allowed, as Kubernetes' RequestInfo has it.
pub(in crate::server) struct Attributes<'a> {
    verb: &'static str,
    path: &'a Path<'a>,
    /// The label selector of a list; kube-apiserver sends it along since 1.32.
    selector: Cow<'a, str>,
    uri: &'a Uri,
}

impl<'a> Attributes<'a> {
    /// The attributes of a request.
    pub fn of(method: &Method, path: &'a Path<'a>, uri: &'a Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let verb = verb(method, path, query);
        let lists = matches!(verb, "list" | "watch" | "deletecollection");
        let selector = query::first(query, "labelSelector").filter(|_| lists);
        Self {
            verb,
            path,
            selector: selector.unwrap_or_default(),
            uri,
        }
    }

    /// `true` for what the right to read all metrics everywhere covers. A review's `*` is every resource, and its empty
    /// namespace every namespace (API reference of ResourceAttributes), so an authorizer that allows that allows each of them.
    fn reads_a_metric(&self) -> bool {
        let named = |place: &Place<'_>| !place.namespace.is_empty() && !place.resource.is_empty();
        matches!(self.verb, "list" | "get") && self.path.place.as_ref().is_some_and(named)
    }

    fn length(&self) -> usize {
        self.path.text.len() + self.selector.len()
    }

    fn digest(&self, user: &User) -> [u8; 32] {
        let mut digest = Digest::default();
        user.digest(&mut digest);
        digest.text(self.verb);
        digest.text(self.path.text);
        digest.text(&self.selector);
        digest.end()
    }
}

/// Asks the API server and remembers.
pub(in crate::server) struct Authorizer {
    reviews: Api<SubjectAccessReview>,
    answers: Cache<[u8; 32], Arc<Answer>>,
    /// Answers about every metric everywhere, by user and verb.
    widely: Cache<[u8; 32], bool>,
    gates: Arc<Gates>,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    allowed: bool,
    reason: String,
}

impl Authorizer {
    pub fn new(client: Client, gates: Arc<Gates>) -> Self {
        Self {
            gates,
            reviews: Api::all(client),
            answers: remembered(),
            widely: remembered(),
        }
    }

    /// Lets `user`, who has shown so much, do what they want, or says why not.
    pub async fn allow(
        &self,
        (user, standing): (&User, Standing),
        asked: &Attributes<'_>,
    ) -> Result<(), Failure> {
        if user.groups.iter().any(|g| g == "system:masters") {
            return Ok(());
        }
        let answer = if asked.length() + user.length() > LONGEST {
            self.ask(user, standing, asked).await.map_err(Arc::new)
        } else {
            match self.reads_everything((user, standing), asked).await {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    let ask = self.ask(user, standing, asked);
                    self.answers.try_get_with(asked.digest(user), ask).await
                }
                // The next question would wait as long, and go without an answer like this one.
                Err(error) => Err(error),
            }
        };
        let answer = answer.map_err(|error| {
            if matches!(*error, Unanswered::Busy(_)) {
                return Failure::busy(&error);
            }
            tracing::warn!(%error, user = %user.name, "cannot ask who may");
            let uri = asked.uri.path_and_query().map_or("", |p| p.as_str());
            let said = escaped(&format!("Internal Server Error: {uri:?}: {error}"));
            Failure::plain(StatusCode::INTERNAL_SERVER_ERROR, said)
        })?;
        if answer.allowed {
            Ok(())
        } else {
            Err(forbidden(user, asked, &answer.reason))
        }
    }

    /// `true` for a user who may read all metrics everywhere, as HPA controllers may and a lagscale that asks another. A stranger is
    /// not asked about. An authorizer that is in doubt has not said yes: it is asked about the one metric then.
    async fn reads_everything(
        &self,
        (user, standing): (&User, Standing),
        asked: &Attributes<'_>,
    ) -> Result<bool, Arc<Unanswered>> {
        if standing == Standing::Stranger || !asked.reads_a_metric() {
            return Ok(false);
        }
        let mut digest = Digest::default();
        user.digest(&mut digest);
        digest.text(asked.verb);
        let group = asked.path.place.map_or(GROUP, |place| place.group.name());
        digest.text(group);
        let ask = async {
            // A user has one question a verb and group in ten seconds: no gate is needed.
            let status = self.review(everything(user, asked.verb, group), None).await;
            status.map(|status| status.allowed)
        };
        self.widely.try_get_with(digest.end(), ask).await
    }

    async fn ask(
        &self,
        user: &User,
        standing: Standing,
        asked: &Attributes<'_>,
    ) -> Result<Arc<Answer>, Unanswered> {
        let gate = match standing {
            Standing::Stranger => Some(&self.gates.strangers),
            Standing::Token => Some(&self.gates.tokens),
            Standing::Certificate | Standing::FrontProxy => None,
        };
        let status = self.review(spec(user, asked), gate).await?;
        if !status.allowed
            && let Some(error) = status.evaluation_error.filter(|e| !e.is_empty())
        {
            return Err(Unanswered::Failed(error));
        }
        Ok(Arc::new(Answer {
            allowed: status.allowed,
            reason: status.reason.unwrap_or_default(),
        }))
    }

    async fn review(
        &self,
        spec: SubjectAccessReviewSpec,
        gate: Option<&Gate>,
    ) -> Result<SubjectAccessReviewStatus, Unanswered> {
        let review = SubjectAccessReview {
            spec,
            ..SubjectAccessReview::default()
        };
        let review = reviewed(&self.reviews, &review, gate).await?;
        Ok(review.status.unwrap_or_default())
    }
}

fn remembered<V: Clone + Send + Sync + 'static>() -> Cache<[u8; 32], V> {
    Cache::builder()
        .max_capacity(MOST)
        .time_to_live(REMEMBERED)
        .build()
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn about(user: &User) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: some(&user.name),
        groups: Some(user.groups.clone()).filter(|g| !g.is_empty()),
        uid: some(&user.uid),
        extra: Some(user.extra.clone()).filter(|e| !e.is_empty()),
        ..SubjectAccessReviewSpec::default()
    }
}

/// Every metric of every namespace.
fn everything(user: &User, verb: &str, group: &str) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        resource_attributes: Some(ResourceAttributes {
            group: some(group),
            version: some(VERSION),
            resource: some("*"),
            verb: some(verb),
            ..ResourceAttributes::default()
        }),
        ..about(user)
    }
}

fn spec(user: &User, asked: &Attributes<'_>) -> SubjectAccessReviewSpec {
    let mut spec = about(user);
    let verb = some(asked.verb);
    if let Some(found) = asked.path.place {
        spec.resource_attributes = Some(ResourceAttributes {
            group: some(found.group.name()),
            version: some(VERSION),
            namespace: some(found.namespace),
            resource: some(found.resource),
            name: some(found.name),
            label_selector: label_selector(&asked.selector),
            verb,
            ..ResourceAttributes::default()
        });
    } else {
        spec.non_resource_attributes = Some(NonResourceAttributes {
            path: some(asked.path.text),
            verb,
        });
    }
    spec
}

/// One that does not parse is left out, which asks for more than is wanted.
fn label_selector(text: &str) -> Option<LabelSelectorAttributes> {
    let selector = Selector::parse(text).ok()?;
    let requirements =
        selector
            .requirements()
            .map(|(key, operator, values)| LabelSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: Some(values).filter(|v| !v.is_empty()),
            });
    let requirements: Vec<_> = requirements.collect();
    (!requirements.is_empty()).then(|| LabelSelectorAttributes {
        requirements: Some(requirements),
        ..LabelSelectorAttributes::default()
    })
}

/// As Kubernetes' RequestInfo names it.
fn verb(method: &Method, path: &Path<'_>, query: &str) -> &'static str {
    let name = path.place.map(|found| found.name);
    match (method.as_str(), name) {
        ("GET" | "HEAD", Some("")) if query::watches(query) => "watch",
        ("GET" | "HEAD", Some("")) => "list",
        ("GET", _) | ("HEAD", Some(_)) => "get",
        ("HEAD", None) => "head",
        ("POST", None) => "post",
        ("POST", Some(_)) => "create",
        ("PUT", None) => "put",
        ("PUT", Some(_)) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", Some("")) => "deletecollection",
        ("DELETE", _) => "delete",
        ("OPTIONS", None) => "options",
        _ => "",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn forbidden(user: &User, asked: &Attributes<'_>, reason: &str) -> Failure {
    let (user, verb) = (escaped(&user.name), asked.verb);
    let (mut message, details) = if let Some(found) = asked.path.place {
        let (resource, group) = (found.resource, found.group.name());
        let place = if found.namespace.is_empty() {
            "at the cluster scope".into()
        } else {
            format!("in the namespace \"{}\"", found.namespace)
        };
        let object = if found.name.is_empty() {
            format!("{resource}.{group}")
        } else {
            format!("{resource}.{group} {:?}", found.name)
        };
        let message = format!(
            "{object} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {place}"
        );
        let details = Details {
            name: found.name.into(),
            group: group.into(),
            kind: resource.into(),
            ..Details::default()
        };
        (message, details)
    } else {
        let path = escaped(asked.path.text);
        let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"");
        (message, Details::default())
    };
    if !reason.is_empty() {
        message.push_str(": ");
        message.push_str(reason);
    }
    Failure::new(StatusCode::FORBIDDEN, "Forbidden", message).with(details)
}
