//! One connection to one broker: a request goes out, its answer comes back, nothing overlaps.
//!
//! A tick asks each broker a handful of things, so there is nothing to gain from pipelining, and nothing to cancel: any
//! error or timeout means the connection is dropped by its owner and dialled afresh.

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use kafka_protocol::{
    messages::{ApiKey, ApiVersionsRequest, RequestHeader},
    protocol::{Request, StrBytes, VersionRange, encode_request_header_into_buffer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    Address, Budget, Cause, Error, Security,
    dial::{Stream, connect, handshake},
    error::first_sentence,
    login::Login,
    reader::{self, Malformed, Reader},
    requests::versions::{self, Versions},
    tls::Tls,
    traffic::{self, Open},
};

/// Largest answer that is read, in bytes. A hundred groups with 5 000 offsets take about a tenth of it.
pub const MAX_FRAME: usize = 8 << 20;

/// The same before the login is over.
const MAX_GREETING: usize = 256 << 10;

/// Memory for an answer is taken in steps of so many bytes.
const STEP: usize = 1 << 20;

const CLIENT_ID: &str = "lagscale";

/// How long a step may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Name resolution, TCP, TLS, version exchange and login together.
    pub dial: Duration,
    /// One request with its answer.
    pub call: Duration,
}

impl Default for Deadlines {
    /// A cold JVM answers its first large request in 1.6 s and a quota delays by 1 s more.
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(4),
            call: Duration::from_secs(4),
        }
    }
}

/// An authenticated connection. Not to be used again after an error.
pub struct Connection {
    address: Address,
    stream: Box<dyn Stream>,
    versions: Versions,
    deadlines: Deadlines,
    correlation: i32,
    pub(super) redial_at: Option<Instant>,
    /// No answer yet beyond the version exchange: a hang-up now means that the port wants SASL.
    fresh: bool,
    anonymous: bool,
    /// The login is over.
    greeted: bool,
    budget: Budget,
    _open: Open,
}

impl Connection {
    /// Dials, exchanges versions and logs in, all within `deadlines.dial`; a token that is needed first has its own time.
    pub async fn dial(
        address: &Address,
        security: &Security,
        deadlines: Deadlines,
    ) -> Result<Self, Error> {
        Self::dial_on(&Budget::default(), address, security, deadlines).await
    }

    /// Dials, on a budget that others share.
    pub async fn dial_on(
        budget: &Budget,
        address: &Address,
        security: &Security,
        deadlines: Deadlines,
    ) -> Result<Self, Error> {
        let at = |cause| Error {
            address: address.clone(),
            cause,
        };
        // Before the broker is dialled: a token endpoint has a deadline of its own.
        let login = match &security.sasl {
            Some(sasl) => Some(Login::prepared(sasl, budget).await.map_err(at)?),
            None => None,
        };
        let dialled = timeout(
            deadlines.dial,
            Self::establish(budget, address, security.tls.as_ref(), login, deadlines),
        )
        .await;
        traffic::dialled(matches!(dialled, Ok(Ok(_))));
        match dialled {
            Ok(result) => result.map_err(at),
            Err(_) => Err(at(Cause::Timeout {
                doing: "the dial (TCP, TLS, versions, login)",
                after: deadlines.dial,
            })),
        }
    }

    /// The broker's address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether the login is about to expire (KIP-368): the broker hangs up on the first request after it, so the owner
    /// dials afresh at 80 % of the lifetime.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.redial_at.is_some_and(|at| Instant::now() >= at)
    }

    /// The highest version of `R` that both sides speak, no higher than `cap`.
    pub fn version<R: Request>(&self, cap: i16) -> Result<i16, Error> {
        self.common::<R>(cap).map_err(|cause| self.error(cause))
    }

    /// Sends `request` in `version` and waits for its answer, `deadlines.call` at most. `decode` makes of the answer what
    /// the caller wants; what it leaves of it is an error.
    pub async fn call<R: Request, T>(
        &mut self,
        request: &R,
        version: i16,
        decode: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, Error> {
        let (after, begun) = (self.deadlines.call, Instant::now());
        let result = match timeout(after, self.exchange(request, version, decode)).await {
            Ok(Err(Cause::Closed)) if self.fresh && self.anonymous => Err(Cause::WantsSasl),
            Ok(result) => result,
            Err(_) => Err(Cause::Timeout {
                doing: api_name::<R>(),
                after,
            }),
        };
        self.fresh = false;
        traffic::asked(R::KEY, result.is_ok(), begun.elapsed());
        result.map_err(|cause| self.error(cause))
    }

    fn error(&self, cause: Cause) -> Error {
        Error {
            address: self.address.clone(),
            cause,
        }
    }

    async fn establish(
        budget: &Budget,
        address: &Address,
        tls: Option<&Tls>,
        login: Option<Login<'_>>,
        deadlines: Deadlines,
    ) -> Result<Self, Cause> {
        let tls = match tls {
            Some(tls) => Some(tls.prepared().await?),
            None => None,
        };
        let tcp = connect(address, budget).await?;
        tcp.set_nodelay(true).map_err(Cause::from)?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(config) => Box::new(handshake(address, config, tcp).await?),
        };
        let mut connection = Self {
            address: address.clone(),
            stream,
            versions: Versions::new(),
            deadlines,
            correlation: 0,
            redial_at: None,
            _open: traffic::open(),
            fresh: true,
            anonymous: login.is_none(),
            greeted: false,
            budget: budget.clone(),
        };
        connection.negotiate().await?;
        if let Some(login) = login {
            connection.log_in(login).await?;
        }
        connection.greeted = true;
        Ok(connection)
    }

    pub(super) fn common<R: Request>(&self, cap: i16) -> Result<i16, Cause> {
        let ours = VersionRange {
            min: R::VERSIONS.min,
            max: R::VERSIONS.max.min(cap),
        };
        let theirs = *self
            .versions
            .get(&R::KEY)
            .unwrap_or(&VersionRange { min: 0, max: -1 });
        let both = ours.intersect(&theirs);
        match ApiKey::try_from(R::KEY) {
            Ok(api) if both.is_empty() => Err(Cause::Version { api, theirs, ours }),
            _ => Ok(both.max),
        }
    }

    pub(super) async fn exchange<R: Request, T>(
        &mut self,
        request: &R,
        version: i16,
        decode: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, Cause> {
        self.correlation = self.correlation.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
        let mut frame = BytesMut::from(&[0; 4][..]);
        encode_request_header_into_buffer(&mut frame, &header).map_err(|e| codec::<R>(&e))?;
        request
            .encode(&mut frame, version)
            .map_err(|e| codec::<R>(&e))?;
        let length = u32::try_from(frame.len() - 4).map_err(|_| too_large(frame.len()))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).await?;
        self.stream.flush().await?;

        let length = self.read_length().await?;
        // Held until the answer is decoded.
        let _room = self.budget.frame(length).await;
        let frame = self.read_body(length).await?;
        reader::read::<R, T>(&frame, version, self.correlation, decode).map_err(|e| codec::<R>(&e))
    }

    async fn read_length(&mut self) -> Result<usize, Cause> {
        let prefix = self.stream.read_u32().await?;
        let length = prefix as usize;
        let limit = if self.greeted {
            MAX_FRAME
        } else {
            MAX_GREETING
        };
        if length <= limit {
            return Ok(length);
        }
        // A TLS alert record begins with 0x15 0x03.
        Err(if prefix >> 16 == 0x1503 {
            Cause::SpeaksTls
        } else {
            Cause::TooLarge {
                bytes: length,
                limit,
            }
        })
    }

    async fn read_body(&mut self, length: usize) -> Result<Vec<u8>, Cause> {
        // Grows with what arrives, not with what is announced.
        let mut body = Vec::new();
        while body.len() < length {
            if body.len() == body.capacity() {
                body.reserve_exact((length - body.len()).min(STEP));
            }
            let spare = (body.capacity() - body.len()).min(length - body.len());
            let mut into = (&mut body).limit(spare);
            if self.stream.read_buf(&mut into).await? == 0 {
                return Err(Cause::Closed);
            }
        }
        Ok(body)
    }

    async fn negotiate(&mut self) -> Result<(), Cause> {
        // Version 0 is understood by every broker.
        let request = ApiVersionsRequest::default();
        let listed = self.exchange(&request, 0, versions::decode).await?;
        self.versions = listed.map_err(Cause::Code)?;
        Ok(())
    }
}

fn too_large(bytes: usize) -> Cause {
    Cause::TooLarge {
        bytes,
        limit: MAX_FRAME,
    }
}

fn codec<R: Request>(error: &dyn std::fmt::Display) -> Cause {
    let text = first_sentence(&error.to_string());
    match ApiKey::try_from(R::KEY) {
        Ok(api) => Cause::Codec { api, text },
        Err(()) => Cause::Io(text),
    }
}

fn api_name<R: Request>() -> &'static str {
    match ApiKey::try_from(R::KEY) {
        Ok(ApiKey::Metadata) => "Metadata",
        Ok(ApiKey::FindCoordinator) => "FindCoordinator",
        Ok(ApiKey::OffsetFetch) => "OffsetFetch",
        Ok(ApiKey::ListOffsets) => "ListOffsets",
        Ok(ApiKey::Fetch) => "Fetch",
        _ => "the request",
    }
}
