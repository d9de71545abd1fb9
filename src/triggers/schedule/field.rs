//! One field of a schedule: its syntax and the values it stands for.

/// The values of one field, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values {
    bits: u64,
    /// `*` or `?` was written: the field does not restrict the days.
    pub(super) star: bool,
}

pub(super) struct Field {
    least: u32,
    most: u32,
    /// Other spellings, from the least value on.
    names: &'static [&'static str],
}

#[rustfmt::skip]
pub(super) const FIELDS: [Field; 5] = [
    Field { least: 0, most: 59, names: &[] },
    Field { least: 0, most: 23, names: &[] },
    Field { least: 1, most: 31, names: &[] },
    Field { least: 1, most: 12, names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"] },
    Field { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

impl Values {
    pub(super) fn has(self, value: i8) -> bool {
        self.from(value) == Some(value)
    }

    /// The least of the values from `value` on.
    pub(super) fn from(self, value: i8) -> Option<i8> {
        let rest = self.bits & u64::MAX.checked_shl(u32::try_from(value).ok()?)?;
        i8::try_from(rest.trailing_zeros())
            .ok()
            .filter(|_| rest != 0)
    }
}

impl Field {
    pub(super) fn values(&self, text: &str) -> Result<Values, String> {
        let mut values = Values {
            bits: 0,
            star: false,
        };
        for piece in text.split(',').filter(|piece| !piece.is_empty()) {
            let (range, step) = match piece.split_once('/') {
                None => (piece, None),
                Some((_, step)) if step.contains('/') => {
                    return Err(format!("too many slashes: {piece}"));
                }
                Some((range, step)) => (range, Some(number(step)?)),
            };
            let (low, high) = match range.split_once('-') {
                None => (range, None),
                Some((low, high)) => (low, Some(high)),
            };
            let star = matches!(low, "*" | "?");
            let (low, high) = match high {
                _ if star => (self.least, self.most),
                Some(high) if high.contains('-') => {
                    return Err(format!("too many hyphens: {piece}"));
                }
                Some(high) => (self.value(low)?, self.value(high)?),
                // `5/10` goes to the end.
                None if step.is_some() => (self.value(low)?, self.most),
                None => (self.value(low)?, self.value(low)?),
            };
            if low < self.least {
                return Err(format!(
                    "beginning of range ({low}) below minimum ({}): {piece}",
                    self.least
                ));
            }
            if high > self.most {
                return Err(format!(
                    "end of range ({high}) above maximum ({}): {piece}",
                    self.most
                ));
            }
            if low > high {
                return Err(format!(
                    "beginning of range ({low}) beyond end of range ({high}): {piece}"
                ));
            }
            let step = step.unwrap_or(1);
            if step == 0 {
                return Err(format!(
                    "step of range should be a positive number: {piece}"
                ));
            }
            values.star |= star && step == 1;
            for value in (low..=high).step_by(step as usize) {
                values.bits |= 1 << value;
            }
        }
        Ok(values)
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self
            .names
            .iter()
            .zip(self.least..)
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map_or_else(|| number(text), |(_, value)| Ok(value))
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("failed to parse int from {text}: expected a whole number"))
}
