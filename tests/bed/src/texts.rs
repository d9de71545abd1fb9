//! Texts as long as a limit allows.

/// `of(0),of(1),...`, at most `most` bytes long where `of(0)` is not longer.
pub fn list(most: usize, of: impl Fn(usize) -> String) -> String {
    let mut text = of(0);
    for piece in (1..).map(of) {
        if text.len() + 1 + piece.len() > most {
            break;
        }
        text.push(',');
        text.push_str(&piece);
    }
    text
}
