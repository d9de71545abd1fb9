//! Writes the status of a LagMetric.

use kube::{Api, ResourceExt};

use super::{
    Writers,
    status::{StatusChange, patch_status},
};
use crate::{
    controller::objects::{StatusWrite, StatusWritten},
    text::api_error,
};

/// Writes a status, if this replica still leads, and says what came of it. It waits for a place as all writes do.
pub(in crate::controller) async fn write_status(
    writers: Writers,
    write: Box<StatusWrite>,
) -> StatusWritten {
    // Never closed.
    let _place = writers.places.writes.acquire().await;
    Box::pin(written(&writers, *write)).await
}

async fn written(writers: &Writers, write: StatusWrite) -> StatusWritten {
    let StatusWrite {
        key,
        metric,
        known,
        status,
    } = write;
    let result = match writers.lead.turn().await {
        Some(_turn) => {
            let api = Api::namespaced(writers.client.clone(), &key.namespace);
            let change = StatusChange {
                before: Some(&known),
                next: &status,
                over: None,
            };
            let written = patch_status(&api, &*metric, change, &writers.counts).await;
            written.map(drop).map_err(|e| api_error(&e))
        }
        None => Err("this replica does not lead any more".into()),
    };
    StatusWritten {
        key,
        uid: metric.uid(),
        result,
    }
}
