//! Connections of one broker: frames in, frames out, with the faults that are in force.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiKey, RequestHeader},
    protocol::decode_request_header_from_buffer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{
    answers::{self, Session},
    fault::What,
    state::State,
};

/// The treatment of a request.
struct Reply {
    frame: BytesMut,
    delay: Duration,
    /// Its place in the log.
    entry: Option<usize>,
}

/// Runs a broker; ending the task ends its connections.
pub fn broker(node: i32, listener: TcpListener, state: Arc<Mutex<State>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    let connection = {
                        let mut state = state.lock().unwrap();
                        *state.connections.entry(node).or_default() += 1;
                        state.connections.values().sum()
                    };
                    let state = state.clone();
                    connections.spawn(async move {
                        let _open = Open::new(node, state.clone());
                        serve(node, connection, stream, state).await
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

/// Counts an open connection.
struct Open(i32, Arc<Mutex<State>>);

impl Open {
    fn new(node: i32, state: Arc<Mutex<State>>) -> Self {
        *state.lock().unwrap().open.entry(node).or_default() += 1;
        Self(node, state)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Ok(mut state) = self.1.lock() {
            *state.open.entry(self.0).or_default() -= 1;
        }
    }
}

/// Ends with the connection.
async fn serve(
    node: i32,
    connection: usize,
    mut stream: TcpStream,
    state: Arc<Mutex<State>>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut session = Session::default();
    loop {
        if hangs_up_unread(node, &stream, &state).await? {
            return None;
        }
        let length = stream.read_u32().await.ok()?;
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await.ok()?;
        let reply = {
            let mut state = state.lock().unwrap();
            state.counts.bytes_in += u64::from(length) + 4;
            reply(node, connection, frame.into(), &mut session, &mut state)?
        };
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        stream.write_all(&reply.frame).await.ok()?;
        let mut state = state.lock().unwrap();
        state.counts.bytes_out += reply.frame.len() as u64;
        if let (Some(entry), Some(log)) = (reply.entry, &mut state.log)
            && !reply.frame.is_empty()
        {
            log[entry].answered_at = Some(Instant::now());
        }
    }
}

/// The request's kind stands behind its length.
async fn hangs_up_unread(node: i32, stream: &TcpStream, state: &Mutex<State>) -> Option<bool> {
    let unread = |f: &super::fault::Fault| matches!(f.what, What::HangUpUnread);
    if !state.lock().unwrap().faults.iter().any(unread) {
        return Some(false);
    }
    let mut head = [0; 6];
    while stream.peek(&mut head).await.ok().filter(|n| *n > 0)? < head.len() {
        tokio::task::yield_now().await;
    }
    let api = ApiKey::try_from(i16::from_be_bytes([head[4], head[5]])).unwrap();
    let mut state = state.lock().unwrap();
    let mut faults = state.faults.iter_mut();
    if let Some(fault) = faults.find(|f| unread(f) && f.meets(api, node)) {
        fault.times = fault.times.map(|n| n - 1);
        return Some(true);
    }
    Some(false)
}

/// `None`: the connection is closed.
fn reply(
    node: i32,
    connection: usize,
    mut body: Bytes,
    session: &mut Session,
    state: &mut State,
) -> Option<Reply> {
    let header: RequestHeader = decode_request_header_from_buffer(&mut body).unwrap();
    let api = ApiKey::try_from(header.request_api_key).unwrap();
    let version = header.request_api_version;
    let now = Instant::now();
    state.counts.first.get_or_insert(now);
    state.counts.last = Some(now);
    let key = (node, api as i16);
    *state.counts.requests.entry(key).or_default() += 1;

    let (min, max) = state.versions(api).unwrap_or((0, -1));
    if version < min || version > max {
        if api == ApiKey::ApiVersions {
            let frame = answers::versions_refused(header.correlation_id, state.profile);
            let delay = Duration::ZERO;
            return Some(Reply {
                frame,
                delay,
                entry: None,
            });
        }
        let name = state.profile.name;
        let text = format!("{api:?} v{version}: {name} speaks {min} to {max}");
        state.violations.push(text);
        return None;
    }
    if session.is_over(state) {
        return None;
    }
    let faults = state.meet(api, node);
    let mut entry = None;
    if let Some(log) = &mut state.log
        && let Some(asked) = answers::asked(node, connection, api, version, body.clone())
    {
        entry = Some(log.len());
        log.push(asked);
    }
    let mut frame = answers::answer(node, &header, body, &faults, session, state)?;
    let mut delay = Duration::ZERO;
    for fault in &faults {
        match fault {
            What::Delay(by) => delay += *by,
            What::Silence => frame.clear(),
            What::HangUp => return None,
            What::Corrupt => frame[8..].iter_mut().for_each(|b| *b = !*b),
            What::WrongCorrelation => frame[4] ^= 0x55,
            What::Huge => frame = BytesMut::from(&0x7fff_ffff_u32.to_be_bytes()[..]),
            _ => {}
        }
    }
    Some(Reply {
        frame,
        delay,
        entry,
    })
}
