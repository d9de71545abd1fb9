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
    Address, Budget, Cause, Error,
    error::first_sentence,
    reader::{self, Malformed, Reader},
    requests::api_versions::{self, Versions},
    stream::Stream,
    throttle::{Silence, Throttled},
    traffic::{self, Open},
};

/// Largest answer that is read, in bytes. A hundred groups with 5 000 offsets take about a tenth of it.
pub const MAX_FRAME: usize = 8 << 20;

/// Largest answer that is read before the login is over, in bytes.
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
    silence: Silence,
    _open: Open,
}

impl Connection {
    /// A connection over a stream that was just opened, on which nothing was asked yet. `anonymous`: without a login.
    pub(super) fn over(
        stream: Box<dyn Stream>,
        address: Address,
        deadlines: Deadlines,
        budget: Budget,
        anonymous: bool,
    ) -> Self {
        Self {
            address,
            stream,
            versions: Versions::new(),
            deadlines,
            correlation: 0,
            redial_at: None,
            _open: traffic::open(),
            fresh: true,
            anonymous,
            greeted: false,
            budget,
            silence: Silence::default(),
        }
    }

    /// From now on answers may be as large as they are to an authenticated client.
    pub(super) fn greeted(&mut self) {
        self.greeted = true;
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

    /// Asks what brokers throttle: waits for the silence that the answer before demanded, and begins the one that this answer
    /// demands. Two requests of one question keep it too.
    pub async fn ask<R: Request, T>(
        &mut self,
        request: &R,
        version: i16,
        decode: impl FnOnce(&mut Reader<'_>) -> Result<Throttled<T>, Malformed>,
    ) -> Result<T, Error> {
        self.silence.is_over().await;
        let found = self.call(request, version, decode).await?;
        Ok(self.silence.heed(found))
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

    /// Asks which versions the broker speaks.
    pub(super) async fn negotiate(&mut self) -> Result<(), Cause> {
        // Version 0 is understood by every broker.
        let request = ApiVersionsRequest::default();
        let listed = self.exchange(&request, 0, api_versions::decode).await?;
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
