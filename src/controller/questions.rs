//! Why an object has the replicas it has, asked from outside and answered between two turns.

use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{engine::Controller, work::ObjectKey};
use crate::{
    lag::Moment,
    scaling::{Account, Explanation, evaluate, explain, next_move},
};

/// Questions under way; one more waits.
const MOST: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);

/// Where questions are asked.
#[derive(Clone, Debug)]
pub struct Questions(mpsc::Sender<Question>);

pub(super) struct Question {
    key: ObjectKey,
    answer: oneshot::Sender<Option<Explanation>>,
}

impl Questions {
    /// A place to ask, and where the questions come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<Question>) {
        let (ask, asked) = mpsc::channel(MOST);
        (Self(ask), asked)
    }

    /// Where nobody answers.
    #[must_use]
    pub fn unanswered() -> Self {
        Self::new().0
    }

    /// The account of a ScaledObject; nothing where there is no such object here.
    pub async fn explain(&self, namespace: &str, name: &str) -> Option<Explanation> {
        let (answer, answered) = oneshot::channel();
        let key = (namespace.to_owned(), name.to_owned());
        let asked = async {
            self.0.send(Question { key, answer }).await.ok()?;
            answered.await.ok()?
        };
        // Before the first lists are in nobody answers.
        timeout(PATIENCE, asked).await.ok()?
    }
}

impl Controller {
    pub(super) fn answer(&self, question: Question) {
        // Whoever asked may be gone.
        let _ = question.answer.send(self.account(&question.key));
    }

    fn account(&self, key: &ObjectKey) -> Option<Explanation> {
        let object = self.objects.get(key).filter(|o| o.lag.is_none())?;
        let (plan, now) = (object.plan.clone(), Moment::now());
        let reference = ObjectRef::new(&plan.hpa_name).within(&plan.namespace);
        let hpa = self.watches.hpas.get(&reference);
        let around = object.surroundings(hpa.as_deref());
        // What is remembered stays as it is: to ask changes nothing.
        let mut memory = object.memory.clone();
        let settings = self.parts.settings;
        let evaluation = evaluate(&plan, &self.pictures, &around, &mut memory, settings, now);
        let (activity, _) = memory.activity(&plan, &evaluation, now);
        let replicas = around.replicas.unwrap_or(0);
        let step = next_move(&plan, &activity, replicas, object.last_active, now.wall);
        let account = Account {
            plan: &plan,
            evaluation: &evaluation,
            around: &around,
            hpa: hpa.as_deref(),
            memory: &memory,
            activity: &activity,
            step: &step,
            tolerance_milli: settings.tolerance_milli,
        };
        Some(explain(&account, now))
    }
}
