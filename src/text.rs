//! Text from elsewhere as a person may see it: not endlessly long, and without the control characters that move a terminal's
//! cursor or draw over what stands there.

use std::fmt::Write;

/// The first `most` characters of `text`, with an ellipsis where there are more. Control characters but line breaks and tabs
/// are written as escapes.
#[must_use]
pub fn shown(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut letters = text.chars();
    for letter in letters.by_ref().take(most) {
        if letter.is_control() && !matches!(letter, '\n' | '\t') {
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn text_is_cut_and_moves_no_cursor() {
        for (text, most, expected) in [
            ("plain", 5, "plain"),
            ("longer", 5, "longe…"),
            ("é€", 1, "é…"),
            ("a\tb\nc", 9, "a\tb\nc"),
            ("\u{1b}[2Jx\u{9b}\r", 9, "\\u{1b}[2Jx\\u{9b}\\u{d}"),
            ("", 0, ""),
        ] {
            assert_eq!(shown(text, most), expected);
        }
    }
}
