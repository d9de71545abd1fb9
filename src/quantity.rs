//! Kubernetes quantities, in thousandths: the grammar and the canonical text of `k8s.io/apimachinery/pkg/api/resource`.
//! Pure; what is finer than a thousandth is rounded up, as `MilliValue()` does.

/// Why a text is no quantity; the messages are apimachinery's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number at all.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Grammar,
    /// A number, then something that is no suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// Its thousandths do not fit 64 bits.
    #[error("the quantity is too large")]
    TooLarge,
}

const MAX_DIGITS: usize = 30;

/// Reads a quantity such as `5`, `1500m`, `2k`, `1Gi` or `1e3`, in thousandths.
pub fn parse_milli(text: &str) -> Result<i64, QuantityError> {
    let (value, scale) = parts(text)?;
    let milli = scaled_up(value.abs(), scale + 3).ok_or(QuantityError::TooLarge)?;
    i64::try_from(milli * value.signum()).map_err(|_| QuantityError::TooLarge)
}

/// Whether two texts are the same number, however they are spelled: the API server stores `5000m` as `5`. What is no
/// quantity is the same as nothing but itself.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    let trimmed = |text| {
        let (mut value, mut scale) = parts(text).ok()?;
        while value != 0 && value % 10 == 0 {
            (value, scale) = (value / 10, scale + 1);
        }
        Some((value, if value == 0 { 0 } else { scale }))
    };
    a == b || trimmed(a).is_some_and(|a| trimmed(b) == Some(a))
}

/// A quantity as `value` x 10^`scale`.
fn parts(text: &str) -> Result<(i128, i32), QuantityError> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(QuantityError::Grammar);
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > MAX_DIGITS || fraction.len() > MAX_DIGITS {
        return Err(QuantityError::TooLarge);
    }
    let mantissa: i128 = if digits.is_empty() {
        0
    } else {
        digits.parse().map_err(|_| QuantityError::Grammar)?
    };
    let (binary, exponent) = suffix_of(suffix)?;
    let fraction = i32::try_from(fraction.len()).map_err(|_| QuantityError::TooLarge)?;
    let value = mantissa
        .checked_mul(1 << binary)
        .ok_or(QuantityError::TooLarge)?;
    Ok((if negative { -value } else { value }, exponent - fraction))
}

/// `value` x 10^`scale`, rounded away from zero; `value` is not negative.
fn scaled_up(value: i128, scale: i32) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    let Some(power) = 10_i128.checked_pow(scale.unsigned_abs()) else {
        return (scale < 0).then_some(1);
    };
    if scale >= 0 {
        value.checked_mul(power)
    } else {
        Some(value / power + i128::from(value % power != 0))
    }
}

/// The powers of two and of ten that a suffix stands for.
fn suffix_of(suffix: &str) -> Result<(u32, i32), QuantityError> {
    Ok(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        other => {
            let known = |c: char| c.is_ascii_digit() || "eEinumkKMGTP+-".contains(c);
            if !other.chars().all(known) {
                return Err(QuantityError::Grammar);
            }
            let digits = other.strip_prefix(['e', 'E']);
            let exponent: i32 = digits
                .and_then(|d| d.parse().ok())
                .ok_or(QuantityError::Suffix)?;
            (0, exponent.clamp(-60, 60))
        }
    })
}

/// The canonical decimal text: `1500` milli is `1500m`, a million milli is `1k`.
#[must_use]
pub fn format_milli(milli: i64) -> String {
    if milli == 0 {
        return "0".into();
    }
    let (mut mantissa, mut exponent) = (i128::from(milli), -3_i32);
    while mantissa % 10 == 0 {
        mantissa /= 10;
        exponent += 1;
    }
    while exponent.rem_euclid(3) != 0 {
        mantissa *= 10;
        exponent -= 1;
    }
    let suffix = match exponent {
        -3 => "m",
        0 => "",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        _ => "E",
    };
    format!("{mantissa}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::{QuantityError, format_milli, parse_milli};

    #[test]
    fn the_canonical_text_is_apimachinerys() {
        let units: [(i64, &str); 12] = [
            (0, "0"),
            (999, "999"),
            (1000, "1k"),
            (1500, "1500"),
            (10_000, "10k"),
            (12_345, "12345"),
            (100_000, "100k"),
            (1_000_000, "1M"),
            (1_200_000, "1200k"),
            (123_456_000, "123456k"),
            (5_000_000_000_000, "5T"),
            (-5, "-5"),
        ];
        for (units, text) in units {
            assert_eq!(format_milli(units * 1000), text);
        }
        for (milli, text) in [(1500, "1500m"), (1_000_500, "1000500m"), (-1500, "-1500m")] {
            assert_eq!(format_milli(milli), text);
        }
        assert_eq!(format_milli(i64::MAX), "9223372036854775807m");
    }

    #[test]
    fn every_suffix_is_read_and_what_is_finer_than_a_thousandth_goes_up() {
        for (text, milli) in [
            ("5", 5000),
            ("1500m", 1500),
            ("1.5", 1500),
            (".5", 500),
            ("5.", 5000),
            ("0.1m", 1),
            ("-0.1m", -1),
            ("1n", 1),
            ("2k", 2_000_000),
            ("1Ki", 1_024_000),
            ("1e3", 1_000_000),
            ("1E-3", 1),
            ("+7", 7000),
            ("000", 0),
        ] {
            assert_eq!(parse_milli(text), Ok(milli), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_its_reason() {
        for text in ["", "NaN", "Inf", " 5", "5 ", "1.2.3", "-", "m"] {
            assert_eq!(parse_milli(text), Err(QuantityError::Grammar), "{text}");
        }
        for text in ["1K", "1kk", "1e", "1ki"] {
            assert_eq!(parse_milli(text), Err(QuantityError::Suffix), "{text}");
        }
        for text in ["1E", "99999999999999999999", "1e40", &"9".repeat(400)] {
            assert_eq!(parse_milli(text), Err(QuantityError::TooLarge), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_formatted_value_reads_back_as_itself(milli in proptest::num::i64::ANY) {
            proptest::prop_assert_eq!(parse_milli(&format_milli(milli)), Ok(milli));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[+-]?[0-9.]{0,40}[a-zA-Z0-9+-]{0,4}") {
            let _ = parse_milli(&text);
        }
    }
}
