//! The annotations that pause an object, whole or in one direction, or force its activation.

use std::collections::BTreeMap;

const PAUSED: &str = "autoscaling.keda.sh/paused";
const REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";
const SCALE_IN: &str = "autoscaling.keda.sh/paused-scale-in";
const SCALE_OUT: &str = "autoscaling.keda.sh/paused-scale-out";

const FORCED: &str = "autoscaling.keda.sh/force-activation";

/// Whether activation is forced, whatever the triggers say.
pub(in crate::scaling) fn is_forced(annotations: &BTreeMap<String, String>) -> bool {
    switch(annotations, FORCED)
}

/// A text that is no boolean counts as true.
fn switch(annotations: &BTreeMap<String, String>, name: &str) -> bool {
    let text = annotations.get(name);
    text.is_some_and(|t| !["0", "f", "F", "false", "FALSE", "False"].contains(&t.as_str()))
}

/// The pause that an object's annotations ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// No HPA, no steps.
    pub whole: bool,
    /// The replicas to be kept meanwhile; `None`: what there are.
    pub replicas: Option<i32>,
    /// Nobody takes replicas away.
    pub scale_in: bool,
    /// Nobody adds replicas.
    pub scale_out: bool,
}

impl Pause {
    /// Reads the annotations; `paused-replicas` pauses whatever `paused` says.
    pub fn of(annotations: &BTreeMap<String, String>) -> Result<Self, String> {
        let switch = |name: &str| switch(annotations, name);
        let replicas = annotations.get(REPLICAS).map(|text| match text.parse() {
            Ok(replicas @ 0..) => Ok(replicas),
            _ => Err(format!(
                "annotation {REPLICAS}: expected a whole number from 0, found {text:?}"
            )),
        });
        let replicas = replicas.transpose()?;
        let whole = switch(PAUSED) || replicas.is_some();
        Ok(Self {
            whole,
            replicas,
            scale_in: !whole && switch(SCALE_IN),
            scale_out: !whole && switch(SCALE_OUT),
        })
    }

    /// Whether anything is held back.
    #[must_use]
    pub fn any(self) -> bool {
        self.whole || self.scale_in || self.scale_out
    }
}
