//! Log lines that a loop would repeat: they are logged when they have changed.

/// The last thing that was said.
#[derive(Debug, Default)]
pub struct Said(String);

impl Said {
    /// Whether this is another thing than the last one, which it is from now on.
    pub fn is_news(&mut self, text: &str) -> bool {
        let news = self.0 != text;
        if news {
            text.clone_into(&mut self.0);
        }
        news
    }

    /// All is well again: the same trouble would be news.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}
