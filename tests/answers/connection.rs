//! A broker that lies, at the other end of a real connection: the question fails in its name, and nothing else happens.

use std::{sync::Arc, time::Duration};

use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, api_versions_response::ApiVersion,
};
use lagscale::kafka::{
    Address, Cause, Connection, Error, Security,
    connection::Deadlines,
    requests::{
        CommitsOf, Isolation, Partitions, Position,
        fetch::{self, Positions},
        find_coordinator, list_offsets, metadata, unseen,
    },
    sasl::{Mechanism, Sasl},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::make::frame;

/// Lengths of two and of four billion, plain and compact, wherever one may be.
const LIES: [[u8; 60]; 3] = [
    [0xff; 60],
    repeated([0x7f, 0xff, 0xff, 0xff]),
    repeated([0xff, 0xff, 0xff, 0xff, 0x0f]),
];

const fn repeated<const N: usize>(pattern: [u8; N]) -> [u8; 60] {
    let mut all = [0; 60];
    let mut i = 0;
    while i < all.len() {
        all[i] = pattern[i % N];
        i += 1;
    }
    all
}

/// The requests that are asked here, with a plain version and a flexible one.
const SERVED: [(ApiKey, [i16; 2]); 6] = [
    (ApiKey::Metadata, [1, 12]),
    (ApiKey::FindCoordinator, [1, 4]),
    (ApiKey::OffsetFetch, [1, 9]),
    (ApiKey::ListOffsets, [1, 10]),
    (ApiKey::Fetch, [4, 12]),
    (ApiKey::SaslHandshake, [1, 1]),
];

/// A broker that says truly which versions it speaks, and `lie` to everything else.
async fn liar(flexible: bool, lie: [u8; 60]) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, flexible, lie));
        }
    });
    Address::new("127.0.0.1", port)
}

async fn serve(mut stream: TcpStream, flexible: bool, lie: [u8; 60]) -> std::io::Result<()> {
    loop {
        let length = stream.read_u32().await?;
        let mut request = vec![0; length as usize];
        stream.read_exact(&mut request).await?;
        let mut answer = if request.starts_with(&(ApiKey::ApiVersions as i16).to_be_bytes()) {
            let keys = SERVED.map(|(key, versions)| {
                let version = versions[usize::from(flexible)];
                ApiVersion::default()
                    .with_api_key(key as i16)
                    .with_min_version(version)
                    .with_max_version(version)
            });
            let answer = ApiVersionsResponse::default().with_api_keys(keys.to_vec());
            frame::<ApiVersionsRequest>(0, &answer)
        } else {
            [&[0; 4][..], &lie].concat()
        };
        answer[..4].copy_from_slice(&request[4..8]);
        stream
            .write_u32(u32::try_from(answer.len()).unwrap())
            .await?;
        stream.write_all(&answer).await?;
    }
}

/// No answer here is waited for in vain.
const DEADLINES: Deadlines = Deadlines {
    dial: Duration::from_secs(60),
    call: Duration::from_secs(60),
};

async fn dial(address: &Address) -> Connection {
    let dialled = lagscale::kafka::dial(address, &Security::default(), DEADLINES).await;
    dialled.unwrap()
}

fn named(address: &Address, what: &str, error: Option<Error>) {
    let error = error.unwrap_or_else(|| panic!("{what}: the lie was taken"));
    assert!(
        matches!(error.cause, Cause::Codec { .. }),
        "{what}: {error}"
    );
    let text = error.to_string();
    let begin = format!("{address}: {what}: the answer makes no sense: ");
    assert!(text.starts_with(&begin), "{text}");
}

#[tokio::test]
async fn a_broker_whose_lengths_lie_is_named_and_costs_one_question() {
    for (flexible, lie) in [false, true].iter().flat_map(|f| LIES.map(|lie| (*f, lie))) {
        let at = liar(flexible, lie).await;
        let partitions = Partitions::from([("t".into(), vec![0])]);
        let of = CommitsOf {
            members: false,
            group: "g".into(),
            partitions: Some(Arc::new(partitions.clone())),
        };
        let positions = Positions::from([("t".into(), [(0, 0)].into())]);

        let answer = metadata::fetch(&mut dial(&at).await, &["t".into()]).await;
        named(&at, "Metadata", answer.err());
        let answer = find_coordinator::fetch(&mut dial(&at).await, &["g".into()]).await;
        named(&at, "FindCoordinator", answer.err());
        let answer = unseen::fetch(&mut dial(&at).await, &[of]).await;
        named(&at, "OffsetFetch", answer.err());
        let (end, all) = (Position::End, Isolation::ReadUncommitted);
        let answer = list_offsets::fetch(&mut dial(&at).await, end, all, &partitions).await;
        named(&at, "ListOffsets", answer.err());
        let answer = fetch::fetch(&mut dial(&at).await, Isolation::ReadCommitted, &positions).await;
        named(&at, "Fetch", answer.err());
        let sasl = Sasl::Password {
            mechanism: Mechanism::Plain,
            username: "user".into(),
            password: "password".to_owned().into(),
        };
        let security = Security {
            sasl: Some(sasl),
            ..Security::default()
        };
        let answer = lagscale::kafka::dial(&at, &security, DEADLINES).await;
        named(&at, "SaslHandshake", answer.err());
    }
}

#[tokio::test]
async fn a_broker_too_old_for_read_committed_is_named_and_not_asked() {
    let at = liar(false, LIES[0]).await;
    let partitions = Partitions::from([("t".into(), vec![0])]);
    let (end, committed) = (Position::End, Isolation::ReadCommitted);
    let answer = list_offsets::fetch(&mut dial(&at).await, end, committed, &partitions).await;
    let error = answer.err().unwrap().to_string();
    let begin = format!("{at}: the broker is too old for isolation: readCommitted");
    assert!(error.starts_with(&begin), "{error}");
}
