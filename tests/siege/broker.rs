//! A hostile broker, under a hundred addresses: it shakes hands, announces the largest frame that is taken, sends it piece by
//! piece, and keeps back the last byte.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bed::Bed;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::strangers::{Count, ended};

const OBJECTS: u8 = 100;
const LARGEST: usize = 8 << 20;
const PIECE: usize = 64 << 10;
const API_VERSIONS: i16 = 18;
/// Fetch, ListOffsets, Metadata, OffsetFetch, FindCoordinator, ApiVersions, and the versions it claims to have.
const APIS: [(i16, i16, i16); 6] = [
    (1, 4, 13),
    (2, 1, 7),
    (3, 0, 12),
    (9, 1, 8),
    (10, 0, 4),
    (API_VERSIONS, 0, 3),
];

/// Listens, and makes an object for each address.
pub async fn begin(bed: &Bed, stop: &Arc<AtomicBool>) -> Count {
    let count = Count::of("pieces of frames without an end");
    let namespace = bed.namespace("hostile").await;
    for nth in 0..OBJECTS {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 1, nth], 0)))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, stop.clone(), count.clone()));
        let name = format!("hostile{nth}");
        let metadata = json!({
            "bootstrapServers": address.to_string(), "consumerGroup": "g", "topic": "t", "lagThreshold": "5",
        });
        bed.apply(&[json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "scaleTargetRef": {"name": name}, "pollingInterval": 1,
                "triggers": [{"type": "kafka", "metadata": metadata}],
            },
        })])
        .await;
    }
    count
}

async fn accept(listener: TcpListener, stop: Arc<AtomicBool>, count: Count) {
    while let Ok((stream, _)) = listener.accept().await {
        if ended(&stop) {
            return;
        }
        tokio::spawn(serve(stream, stop.clone(), count.clone()));
    }
}

/// Until the other side has enough of it.
async fn serve(mut stream: TcpStream, stop: Arc<AtomicBool>, count: Count) -> std::io::Result<()> {
    loop {
        let length = usize::try_from(stream.read_i32().await?).map_err(std::io::Error::other)?;
        let mut frame = vec![0; length.min(PIECE)];
        stream.read_exact(&mut frame).await?;
        let key = i16::from_be_bytes([frame[0], frame[1]]);
        let correlation = &frame[4..8];
        if key == API_VERSIONS {
            stream.write_all(&versions(correlation)).await?;
            continue;
        }
        stream.write_i32(i32::try_from(LARGEST).unwrap()).await?;
        stream.write_all(correlation).await?;
        let mut sent = correlation.len();
        while sent + PIECE < LARGEST && !ended(&stop) {
            stream.write_all(&vec![0; PIECE]).await?;
            sent += PIECE;
            count.add();
            sleep(Duration::from_millis(20)).await;
        }
        while !ended(&stop) {
            sleep(Duration::from_secs(1)).await;
        }
        return Ok(());
    }
}

/// In version 0, which every client begins with.
fn versions(correlation: &[u8]) -> Vec<u8> {
    let count = u32::try_from(APIS.len()).unwrap();
    let apis = APIS
        .into_iter()
        .flat_map(|(key, least, most)| [key, least, most]);
    let mut body = correlation.to_vec();
    body.extend(0_i16.to_be_bytes());
    body.extend(count.to_be_bytes());
    body.extend(apis.flat_map(i16::to_be_bytes));
    let length = u32::try_from(body.len()).unwrap();
    [length.to_be_bytes().to_vec(), body].concat()
}
