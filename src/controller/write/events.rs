//! Records events at the API server, as KEDA's operator would: whoever watches for them goes on seeing them.

use std::sync::{Arc, Mutex, PoisonError};

use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::events::{Event as Recorded, EventType, Recorder, Reporter},
};
use tokio::sync::Semaphore;

use crate::{
    controller::deadline::bounded,
    resources::{ScaledObject, names},
    scaling::Event,
    text::api_error,
};

const REPORTER: &str = names::OPERATOR;
/// The API server takes no longer note.
const LONGEST_NOTE: usize = 1024;

/// kube's recorder keeps each event for six minutes, to count one that comes again. A new one begins after this many, or a start with
/// thousands of objects would keep all of theirs.
const REMEMBERED: usize = 256;

/// Events that are written at once.
const AT_ONCE: usize = 32;

/// A recorder that nobody waits for.
#[derive(Clone)]
pub(in crate::controller) struct EventRecorder {
    client: Client,
    /// The recorder in use, and how many events it was given.
    recorder: Arc<Mutex<(Recorder, usize)>>,
    places: Arc<Semaphore>,
}

impl EventRecorder {
    pub(in crate::controller) fn new(client: Client) -> Self {
        Self {
            recorder: Arc::new(Mutex::new((recorder(&client), 0))),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            client,
        }
    }

    /// Records `event` about `object`. One that can't be recorded is logged: an event is no state.
    pub(in crate::controller) fn record(&self, object: &ScaledObject, event: Event) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        // One line for each decision, with its reason, whether the event can be recorded or not.
        if event.warning {
            tracing::warn!(namespace, name, reason = event.reason, "{}", event.note);
        } else {
            tracing::info!(namespace, name, reason = event.reason, "{}", event.note);
        }
        let events = self.clone();
        let about = object.object_ref(&());
        let event = Recorded {
            type_: if event.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: event.reason.into(),
            note: Some(cut(event.note)),
            action: event.reason.into(),
            secondary: None,
        };
        tokio::spawn(async move {
            // Never closed.
            let _place = events.places.acquire().await;
            let recorder = events.recorder();
            if let Err(error) = Box::pin(bounded(recorder.publish(&event, &about))).await {
                let error = api_error(&error);
                tracing::debug!(error, "recording an event");
            }
        });
    }

    /// The recorder in use, a new one where it has been given enough.
    fn recorder(&self) -> Recorder {
        let mut held = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        if held.1 == REMEMBERED {
            *held = (recorder(&self.client), 0);
        }
        held.1 += 1;
        held.0.clone()
    }
}

fn recorder(client: &Client) -> Recorder {
    let reporter = Reporter {
        controller: REPORTER.into(),
        instance: None,
    };
    Recorder::new(client.clone(), reporter)
}

fn cut(mut note: String) -> String {
    let mut end = LONGEST_NOTE.min(note.len());
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    note
}

/// Whether this very object is not there any more; one that nobody can say of counts as there.
pub(in crate::controller) async fn is_gone(client: Client, object: &ScaledObject) -> bool {
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<ScaledObject> = Api::namespaced(client, &namespace);
    let found = bounded(api.get_metadata_opt(&object.name_any())).await;
    found.is_ok_and(|found| found.is_none_or(|now| now.metadata.uid != object.metadata.uid))
}
