//! A name server on a loopback address of its own, as a cluster's: a search list, `ndots:5`, and what some of them answer when
//! they are asked for AAAA. It speaks as much of RFC 1035 as a resolver asks.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

const A: u16 = 1;
const AAAA: u16 = 28;
const NAME_ERROR: u8 = 3;
const SERVER_FAILURE: u8 = 2;

/// The answer for AAAA where a name has an A record only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaysOfAaaa {
    /// That there is none, as it should be.
    Nothing,
    /// That there is no such name, which is wrong.
    NoName,
    /// That it failed.
    Failure,
    /// Never anything.
    Silence,
}

/// How the server behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    pub aaaa: SaysOfAaaa,
    /// Every answer over UDP is cut off: TCP has it whole.
    pub truncates: bool,
    /// The first packet of each name is lost.
    pub loses_first: bool,
}

/// Serves until it is dropped with the runtime; answers 127.0.0.1 for `known`.
pub async fn serve(address: &str, known: &'static [&'static str], manners: Manners) {
    let at: SocketAddr = format!("{address}:53").parse().unwrap();
    let socket = UdpSocket::bind(at).await;
    let socket = socket.unwrap_or_else(|e| {
        panic!(
            "{at}: {e}; a resolver asks port 53 and no other: be root, or sysctl -w net.ipv4.ip_unprivileged_port_start=53"
        )
    });
    let listener = TcpListener::bind(at).await.unwrap();
    let lost: Arc<Mutex<HashSet<Vec<u8>>>> = Arc::default();
    tokio::spawn(async move {
        let mut buffer = [0; 1_500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = &buffer[..length];
            let question = query[12..].to_vec();
            let first = lost.lock().unwrap().insert(question);
            if manners.loses_first && first {
                continue;
            }
            if let Some(mut answer) = answer(query, known, manners) {
                if manners.truncates {
                    answer[2] |= 2;
                    answer.truncate(12 + name_length(&query[12..]) + 4);
                    answer[6..12].fill(0);
                }
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(length) = stream.read_u16().await {
                    let mut query = vec![0; length.into()];
                    if stream.read_exact(&mut query).await.is_err() {
                        return;
                    }
                    let Some(answer) = answer(&query, known, manners) else {
                        return;
                    };
                    let length = u16::try_from(answer.len()).unwrap();
                    let _ = stream.write_all(&length.to_be_bytes()).await;
                    let _ = stream.write_all(&answer).await;
                }
            });
        }
    });
}

/// The bytes of a name, its end with it.
fn name_length(question: &[u8]) -> usize {
    let mut at = 0;
    while question[at] > 0 {
        at += usize::from(question[at]) + 1;
    }
    at + 1
}

fn answer(query: &[u8], known: &[&str], manners: Manners) -> Option<Vec<u8>> {
    let question = &query[12..];
    let length = name_length(question);
    let mut labels = Vec::new();
    let mut at = 0;
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    let name = labels.join(".");
    let kind = u16::from_be_bytes([question[length], question[length + 1]]);
    let is_known = known.contains(&name.as_str());
    let (code, found) = match kind {
        A if is_known => (0, true),
        AAAA if is_known => match manners.aaaa {
            SaysOfAaaa::Nothing => (0, false),
            SaysOfAaaa::NoName => (NAME_ERROR, false),
            SaysOfAaaa::Failure => (SERVER_FAILURE, false),
            SaysOfAaaa::Silence => return None,
        },
        _ => (NAME_ERROR, false),
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, 0x80 | code, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(&question[..length + 4]);
    if found {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
