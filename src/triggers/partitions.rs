//! `partitionLimitation`: the ids and ranges of partitions a trigger reads.

use std::collections::BTreeSet;

/// A limitation of more ids than this is refused: no topic has as many, and a range is written in a few bytes.
const MOST_PARTITIONS: u32 = 100_000;

/// `1,2,10-20` with blanks; an inverted range is empty, as in the reference.
pub(super) fn limited(text: &str) -> Result<BTreeSet<i32>, String> {
    let mut ids = BTreeSet::new();
    for piece in text.split(',').map(str::trim) {
        let invalid = || format!("invalid partition limitation: {piece}");
        let mut ends = piece.split('-').map(str::trim);
        let (first, last, more) = (ends.next(), ends.next(), ends.next());
        if more.is_some() {
            return Err(format!("invalid partition limitation range: {piece}"));
        }
        let id = |text: Option<&str>| text.and_then(|t| t.parse::<i32>().ok()).ok_or_else(invalid);
        let first = id(first)?;
        let last = if last.is_some() { id(last)? } else { first };
        let many = i64::from(last) - i64::from(first);
        if many > i64::from(MOST_PARTITIONS) || ids.len() > MOST_PARTITIONS as usize {
            return Err(format!(
                "invalid partition limitation range: {piece} (more than {MOST_PARTITIONS} partitions)"
            ));
        }
        ids.extend(first..=last);
    }
    Ok(ids)
}
