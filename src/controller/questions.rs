//! Where others ask why an object has the replicas it has.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::objects::ObjectKey;
use crate::scaling::Explanation;

/// Questions under way; one more waits.
const MOST: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);

/// Where questions are asked.
#[derive(Clone, Debug)]
pub struct Questions(mpsc::Sender<Question>);

pub(super) struct Question {
    pub(super) key: ObjectKey,
    pub(super) answer: oneshot::Sender<Option<Explanation>>,
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
        let key = ObjectKey::scaled_object(namespace, name);
        let asked = async {
            self.0.send(Question { key, answer }).await.ok()?;
            answered.await.ok()?
        };
        // Before the first lists are in nobody answers.
        timeout(PATIENCE, asked).await.ok()?
    }
}
