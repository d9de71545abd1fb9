//! Takes a broker's answer out of its frame and believes no length in it.
//!
//! Nothing is allocated here: texts and bytes are borrowed from the frame, and an array that the bytes left can't hold
//! is refused before its first element. kafka-protocol's decoders allocate what an answer announces, so they are for
//! requests and tests only.

use kafka_protocol::protocol::{HeaderVersion, Request};

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The frame is over before the value is.
    #[error("it ends at byte {at} where {wanted} bytes more are needed")]
    Short {
        /// Where the value begins.
        at: usize,
        /// Its size.
        wanted: usize,
    },
    /// A length that is negative or more than the frame still holds.
    #[error("byte {at} announces a length of {length}, {left} bytes are left")]
    Length {
        /// Where it was read.
        at: usize,
        /// The length that was read.
        length: i64,
        /// The most that could follow.
        left: usize,
    },
    /// Null where the protocol has none.
    #[error("byte {at} has null where a value must be")]
    Null {
        /// Where it was read.
        at: usize,
    },
    /// A text that is not UTF-8.
    #[error("byte {at} begins a text that is not UTF-8")]
    Text {
        /// Its first byte.
        at: usize,
    },
    /// A variable-length number of more than 32 bits.
    #[error("byte {at} begins a number of more than 32 bits")]
    Varint {
        /// Its first byte.
        at: usize,
    },
    /// More topics than an answer may list.
    #[error("it lists more than {0} topics")]
    Many(usize),
    /// Another correlation id than the request's.
    #[error("it answers another request")]
    Correlation,
    /// More bytes than the answer has.
    #[error("it has {0} trailing bytes")]
    Trailing(usize),
}

/// The rest of a frame, with the version its answer is in.
pub struct Reader<'a> {
    left: &'a [u8],
    size: usize,
    version: i16,
    /// Compact lengths and tagged fields (KIP-482).
    flexible: bool,
}

/// Takes the answer to `R` in `version` out of its `frame`: the header, what `decode` takes, and nothing behind it.
pub fn read<R: Request, T>(
    frame: &[u8],
    version: i16,
    correlation: i32,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    let mut reader = Reader {
        left: frame,
        size: frame.len(),
        version,
        // A flexible answer has a flexible header; the exception, ApiVersions, is not asked for in a flexible version.
        flexible: R::Response::header_version(version) > 0,
    };
    if reader.i32()? != correlation {
        return Err(Malformed::Correlation);
    }
    reader.tags()?;
    let answer = decode(&mut reader)?;
    match reader.left.len() {
        0 => Ok(answer),
        more => Err(Malformed::Trailing(more)),
    }
}

impl<'a> Reader<'a> {
    /// Reads what has lengths of its own and no version, such as records.
    #[must_use]
    pub const fn plain(bytes: &'a [u8]) -> Self {
        Self {
            left: bytes,
            size: bytes.len(),
            version: 0,
            flexible: false,
        }
    }

    /// The version that the answer is in.
    #[must_use]
    pub const fn version(&self) -> i16 {
        self.version
    }

    /// An INT8, or a BOOLEAN.
    pub fn i8(&mut self) -> Result<i8, Malformed> {
        self.array().map(i8::from_be_bytes)
    }

    /// An INT16.
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    /// An INT32.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// An INT64.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    /// A UUID; all zero stands for none.
    pub fn uuid(&mut self) -> Result<[u8; 16], Malformed> {
        self.array()
    }

    /// A (COMPACT_)STRING.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let at = self.at();
        self.nullable_text()?.ok_or(Malformed::Null { at })
    }

    /// A (COMPACT_)NULLABLE_STRING.
    pub fn nullable_text(&mut self) -> Result<Option<&'a str>, Malformed> {
        let Some(length) = self.length(|r| r.i16().map(i64::from))? else {
            return Ok(None);
        };
        let at = self.at();
        let text = std::str::from_utf8(self.take(length)?);
        text.map(Some).map_err(|_| Malformed::Text { at })
    }

    /// (COMPACT_)NULLABLE_BYTES, which RECORDS are as well; null is empty.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length(|r| r.i32().map(i64::from))?;
        self.take(length.unwrap_or(0))
    }

    /// The number of elements of a (COMPACT_)ARRAY, no more than there are bytes left: every element has one at least.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let at = self.at();
        self.nullable_count()?.ok_or(Malformed::Null { at })
    }

    /// A count where the protocol allows null.
    pub fn nullable_count(&mut self) -> Result<Option<usize>, Malformed> {
        self.length(|r| r.i32().map(i64::from))
    }

    /// Passes over an array of INT32.
    pub fn skip_i32s(&mut self) -> Result<(), Malformed> {
        let count = self.count()?;
        self.take(count.saturating_mul(4)).map(drop)
    }

    /// Passes over `bytes`.
    pub fn skip(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.take(bytes).map(drop)
    }

    /// Passes over the tagged fields that end each structure of a flexible version.
    pub fn tags(&mut self) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = self.varint()?;
            self.take(size as usize)?;
        }
        Ok(())
    }

    /// Everything that is left, for an answer that is decoded by other means.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    fn at(&self) -> usize {
        self.size - self.left.len()
    }

    fn take(&mut self, wanted: usize) -> Result<&'a [u8], Malformed> {
        let at = self.at();
        let (taken, left) = self
            .left
            .split_at_checked(wanted)
            .ok_or(Malformed::Short { at, wanted })?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let at = self.at();
        let (taken, left) = self
            .left
            .split_first_chunk()
            .ok_or(Malformed::Short { at, wanted: N })?;
        self.left = left;
        Ok(*taken)
    }

    /// A length that the bytes left can hold, `None` for null. `plain` reads it where it is not compact.
    fn length(
        &mut self,
        plain: impl FnOnce(&mut Self) -> Result<i64, Malformed>,
    ) -> Result<Option<usize>, Malformed> {
        let at = self.at();
        let length = if self.flexible {
            i64::from(self.varint()?) - 1
        } else {
            plain(self)?
        };
        let left = self.left.len();
        match usize::try_from(length) {
            Ok(bounded) if bounded <= left => Ok(Some(bounded)),
            Err(_) if length == -1 => Ok(None),
            _ => Err(Malformed::Length { at, length, left }),
        }
    }

    fn varint(&mut self) -> Result<u32, Malformed> {
        let at = self.at();
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| Malformed::Varint { at });
            }
        }
        Err(Malformed::Varint { at })
    }
}
