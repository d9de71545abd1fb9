//! Records events at the API server, as KEDA's operator would: whoever watches for them goes on seeing them.

use kube::{
    Client, Resource, ResourceExt,
    runtime::events::{Event as Recorded, EventType, Recorder, Reporter},
};

use crate::{
    controller::deadline::bounded,
    resources::{ScaledObject, names},
    scaling::Event,
    text::api_error,
};

const REPORTER: &str = names::OPERATOR;
/// The API server takes no longer note.
const LONGEST_NOTE: usize = 1024;

/// A recorder that nobody waits for.
#[derive(Clone)]
pub(in crate::controller) struct EventRecorder(Recorder);

impl EventRecorder {
    pub(in crate::controller) fn new(client: Client) -> Self {
        let reporter = Reporter {
            controller: REPORTER.into(),
            instance: None,
        };
        Self(Recorder::new(client, reporter))
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
        let recorder = self.0.clone();
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
            if let Err(error) = bounded(recorder.publish(&event, &about)).await {
                let error = api_error(&error);
                tracing::debug!(error, "recording an event");
            }
        });
    }
}

fn cut(mut note: String) -> String {
    let mut end = LONGEST_NOTE.min(note.len());
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.truncate(end);
    note
}
