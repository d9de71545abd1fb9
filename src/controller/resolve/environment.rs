//! The environment of a scale target's container, as its pod template lets us know it.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    Gather, Lookup,
    expand::expand,
    template::{Bag, Holder, Template, Variable},
};
use crate::{
    controller::credentials::{Content, Found, Reference, Values, Workload},
    kafka::Address,
    triggers::{LONGEST_VALUE, Parameters},
};

/// As much as a process can be started with; `$(VARIABLE)` in `$(VARIABLE)` could make any amount of it.
const LARGEST: usize = 2 << 20;
const STAGE: &str = "error resolving secrets for ScaleTarget";

/// Variables of one container, and as many things that hold variables: more are not read.
const MOST: usize = 1_000;

/// The result of looking up an environment.
pub(super) type Looked = Rc<Result<Option<Environment>, String>>;

/// Variables by name.
pub(super) struct Environment {
    pub(super) values: Parameters,
    /// Why those are missing that the container has, but nobody can know from its template.
    unknown: BTreeMap<String, String>,
    /// Variables whose values come from Secrets.
    secret: BTreeSet<String>,
    /// Container and workload.
    of: String,
    /// Bytes that were added.
    size: usize,
}

/// The result for one variable.
enum Known {
    Here(SecretString),
    /// It is there, but nobody knows with which value.
    Unknown(String),
    Absent,
    Waiting,
}

impl Environment {
    fn add(&mut self, name: String, value: SecretString, secret: bool) -> Result<(), String> {
        self.size += name.len() + value.expose_secret().len();
        if self.size > LARGEST {
            return Err(self.too_large());
        }
        self.unknown.remove(&name);
        if secret {
            self.secret.insert(name.clone());
        } else {
            self.secret.remove(&name);
        }
        self.values.insert(name, value);
        Ok(())
    }

    /// An earlier variable of its name does not count either.
    fn leave_out(&mut self, name: &str, why: String) {
        self.values.remove(name);
        self.unknown.insert(name.to_owned(), why);
    }

    fn too_large(&self) -> String {
        format!(
            "the environment of {} is larger than {LARGEST} bytes",
            self.of
        )
    }

    /// Whether a variable's value comes from a Secret.
    pub(super) fn is_secret(&self, variable: &str) -> bool {
        self.secret.contains(variable)
    }

    /// The fault of the variable that a field of a trigger is read from.
    pub(super) fn lacks(&self, (field, variable): &(String, &str)) -> Option<String> {
        let found = self.values.get(*variable);
        let length = found.map(|value| value.expose_secret().len());
        let why = match length {
            None => self.missing(variable),
            Some(0..=LONGEST_VALUE) => return None,
            Some(length) => {
                format!("variable {variable} has {length} bytes, at most {LONGEST_VALUE} are read")
            }
        };
        Some(format!("{field}: {why}"))
    }

    /// Why the value of a Secret is not read for a field of a trigger: names of topics and groups are shown in metrics and
    /// conditions, and so is what is no address.
    pub(super) fn hides(&self, (field, variable): &(String, &str)) -> Option<String> {
        if !self.is_secret(variable) {
            return None;
        }
        if !field.starts_with("bootstrapServers") {
            return Some(format!(
                "{field}: variable {variable} of {} comes from a Secret, whose values are not shown as a name: take it from a ConfigMap, or write it in the trigger",
                self.of
            ));
        }
        let value = self.values.get(*variable)?.expose_secret();
        let mut pieces = value.split(',').map(str::trim).filter(|p| !p.is_empty());
        let bad = pieces.any(|piece| piece.parse::<Address>().is_err());
        bad.then(|| {
            format!("{field}: variable {variable} of {}, which comes from a Secret, holds no list of host:port", self.of)
        })
    }

    /// Whether a value that is written refers to one of a Secret.
    fn refers_to_secret(&self, text: &str) -> bool {
        let names = text
            .split("$(")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        names.map(|(name, _)| name).any(|name| self.is_secret(name))
    }

    /// Why a variable is not there.
    pub(super) fn missing(&self, variable: &str) -> String {
        match self.unknown.get(variable) {
            Some(why) => format!("variable {variable} of {} {why}", self.of),
            None => format!("{} has no variable {variable}", self.of),
        }
    }
}

impl<L: Lookup> Gather<'_, L> {
    /// The environment of the container of this name, or of the first; `None` while something is still being read. Each is looked up once for
    /// an object, however many triggers and parameters name it.
    pub(super) fn environment(&mut self, container: Option<&str>) -> Looked {
        let name = container.unwrap_or_default();
        if let Some(known) = self.environments.get(name) {
            return known.clone();
        }
        let found = Looked::new(self.look_up(container));
        self.environments.insert(name.to_owned(), found.clone());
        found
    }

    fn look_up(&mut self, container: Option<&str>) -> Result<Option<Environment>, String> {
        let reference = Reference::Workload(Workload::of(self.namespace, self.target));
        let template = match self.look(&reference) {
            Found::Waiting => return Ok(None),
            Found::Missing => return Err(format!("{STAGE}: {reference} does not exist")),
            Found::Failed(error) => {
                return Err(format!("{STAGE}: {reference} could not be read: {error}"));
            }
            Found::Here(Content::Template(Some(template))) => template,
            Found::Here(_) => {
                return Err(format!(
                    "{STAGE}: {reference} has no pod template, so no environment is known"
                ));
            }
        };
        self.of_template(template, container, &reference)
            .map_err(|error| format!("{STAGE}: {error}"))
    }

    fn of_template(
        &mut self,
        template: &Template,
        container: Option<&str>,
        reference: &Reference,
    ) -> Result<Option<Environment>, String> {
        let named = container.filter(|name| !name.is_empty());
        let mut containers = template.containers.iter();
        let container = containers.find(|c| named.is_none_or(|name| c.name == name));
        let container = container.ok_or_else(|| {
            let name = named.unwrap_or_default();
            format!("couldn't find container with name {name} on Target object ({reference})")
        })?;
        let count = container.variables.len() + container.bags.len();
        if count > MOST {
            return Err(format!(
                "container {} of {reference} has {count} variables, at most {MOST} are read",
                container.name
            ));
        }
        let mut found = Environment {
            values: Parameters::new(),
            unknown: BTreeMap::new(),
            secret: BTreeSet::new(),
            of: format!("container {} of {reference}", container.name),
            size: 0,
        };
        let mut waiting = false;
        for bag in &container.bags {
            waiting |= !self.all_of(bag, &mut found)?;
        }
        for (name, variable) in &container.variables {
            match self.value(name, variable, template, &found)? {
                Known::Here(value) => {
                    let secret = match variable {
                        Variable::Literal(text) => found.refers_to_secret(text.expose_secret()),
                        Variable::Key { from, .. } => matches!(from, Holder::Secret(_)),
                        Variable::Field(_) | Variable::Unknowable => false,
                    };
                    found.add(name.clone(), value, secret)?;
                }
                Known::Unknown(why) => found.leave_out(name, why),
                Known::Absent => {}
                Known::Waiting => waiting = true,
            }
        }
        Ok((!waiting).then_some(found))
    }

    /// Adds all keys of `bag`; `false` while it is being read.
    fn all_of(&mut self, bag: &Bag, into: &mut Environment) -> Result<bool, String> {
        match self.held(&bag.from) {
            Held::Waiting => return Ok(false),
            Held::Here(values) => {
                for (key, value) in &values.kept {
                    let secret = matches!(bag.from, Holder::Secret(_));
                    into.add(format!("{}{key}", bag.prefix), value.clone(), secret)?;
                }
            }
            // KEDA leaves these out without a word.
            Held::Forbidden => {}
            Held::Missing(_) if bag.optional => {}
            Held::Missing(why) => {
                let (kind, name) = bag.from.named();
                let namespace = self.namespace;
                return Err(format!(
                    "error reading {kind} ref {name} on namespace {namespace}/: {why}"
                ));
            }
        }
        Ok(true)
    }

    fn value(
        &mut self,
        name: &str,
        variable: &Variable,
        template: &Template,
        so_far: &Environment,
    ) -> Result<Known, String> {
        let (from, key, optional) = match variable {
            Variable::Literal(text) => {
                let text = expand(text.expose_secret(), &so_far.values, LARGEST);
                return text.map(Known::Here).ok_or_else(|| so_far.too_large());
            }
            Variable::Field(path) => {
                return Ok(match field(path, template, self.namespace) {
                    Some(value) => Known::Here(value.into()),
                    None => {
                        Known::Unknown(format!("is the field {path}, which only a running pod has"))
                    }
                });
            }
            Variable::Unknowable => {
                let why = "is nothing that a pod template tells";
                return Ok(Known::Unknown(why.into()));
            }
            Variable::Key {
                from,
                key,
                optional,
            } => (from, key, *optional),
        };
        let why = match self.held(from) {
            Held::Waiting => return Ok(Known::Waiting),
            Held::Forbidden => {
                let why =
                    "comes from a Secret, which --restrict-secret-access keeps from being read";
                return Ok(Known::Unknown(why.into()));
            }
            Held::Here(values) => match values.kept.get(key) {
                Some(value) => return Ok(Known::Here(value.clone())),
                None => format!("it {}", values.lack(key)),
            },
            Held::Missing(why) => why,
        };
        if optional {
            return Ok(Known::Absent);
        }
        let (kind, holder) = from.named();
        let kind = if kind == "secret" {
            "secret name"
        } else {
            kind
        };
        let namespace = self.namespace;
        Err(format!(
            "error resolving {kind} {holder} for env {name} in namespace {namespace}: {why}"
        ))
    }

    fn held(&mut self, holder: &Holder) -> Held<'_> {
        let namespace = self.namespace.to_owned();
        let reference = match holder {
            Holder::Secret(_) if !self.may_read_secrets_of(&namespace) => return Held::Forbidden,
            Holder::Secret(name) => Reference::Secret((namespace, name.clone())),
            Holder::ConfigMap(name) => Reference::ConfigMap((namespace, name.clone())),
        };
        match self.look(&reference) {
            Found::Here(Content::Values(values)) => Held::Here(values),
            Found::Waiting => Held::Waiting,
            Found::Failed(error) => {
                Held::Missing(format!("{reference} could not be read: {error}"))
            }
            Found::Missing | Found::Here(_) => Held::Missing(format!("{reference} does not exist")),
        }
    }
}

enum Held<'a> {
    Waiting,
    Forbidden,
    Missing(String),
    Here(&'a Values),
}

impl Holder {
    /// As KEDA's texts call it.
    fn named(&self) -> (&'static str, &str) {
        match self {
            Self::Secret(name) => ("secret", name),
            Self::ConfigMap(name) => ("config", name),
        }
    }
}

/// The values that are the same for every pod of the template.
fn field(path: &str, template: &Template, namespace: &str) -> Option<String> {
    let of = |map: &BTreeMap<String, String>, rest: &str| {
        let key = rest.strip_prefix("['")?.strip_suffix("']")?;
        // A label that is not there is an empty variable.
        Some(map.get(key).cloned().unwrap_or_default())
    };
    match path {
        "metadata.namespace" => Some(namespace.to_owned()),
        "spec.serviceAccountName" => Some(template.service_account.clone()),
        _ => {
            if let Some(rest) = path.strip_prefix("metadata.labels") {
                of(&template.labels, rest)
            } else {
                of(
                    &template.annotations,
                    path.strip_prefix("metadata.annotations")?,
                )
            }
        }
    }
}
