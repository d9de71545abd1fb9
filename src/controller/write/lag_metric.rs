//! Writes the status of a LagMetric.

use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    controller::deadline::within,
    controller::{
        leadership::Lead,
        objects::{StatusWrite, StatusWritten},
    },
    resources::{LagMetric, LagMetricStatus},
    text::api_error,
};

/// Writes a status, if this replica still leads, and says what came of it.
pub(in crate::controller) async fn write_status(
    client: Client,
    lead: Lead,
    write: StatusWrite,
) -> StatusWritten {
    let StatusWrite {
        key,
        metric,
        status,
    } = write;
    let result = match lead.turn().await {
        Some(_turn) => {
            let api = Api::namespaced(client, &key.namespace);
            patch(&api, &metric, &status).await
        }
        None => Err("this replica does not lead any more".into()),
    };
    StatusWritten {
        key,
        uid: metric.uid(),
        result,
    }
}

/// Every field is in the patch, so that what is not known any more goes.
async fn patch(
    api: &Api<LagMetric>,
    metric: &LagMetric,
    status: &LagMetricStatus,
) -> Result<(), String> {
    let LagMetricStatus {
        observed_generation,
        value,
        partitions,
        last_read_time,
        conditions,
    } = status;
    let patch = json!({
        "metadata": {"uid": metric.uid()},
        "status": {
            "observedGeneration": observed_generation, "value": value, "partitions": partitions,
            "lastReadTime": last_read_time, "conditions": conditions,
        },
    });
    let (name, params) = (metric.name_any(), PatchParams::default());
    let patch = Patch::Merge(&patch);
    within(async {
        let written = api.patch_status(&name, &params, &patch).await;
        written.map(drop).map_err(|e| api_error(&e))
    })
    .await
}
