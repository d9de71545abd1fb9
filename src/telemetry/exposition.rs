//! Everything that `/metrics` shows: counters that are registered, and families made at a scrape.

use prometheus::{Encoder, Registry, TextEncoder};

use super::families::Filled;

/// Makes families at each scrape.
pub trait FamilySource: Send + Sync {
    /// The families as of now.
    fn expose(&self) -> Filled;
}

/// The metrics of a process.
#[derive(Default)]
pub struct Exposition {
    registry: Registry,
    sources: Vec<Box<dyn FamilySource>>,
}

impl Exposition {
    /// The metrics of `registry`, also of what is registered there later.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            sources: Vec::new(),
        }
    }

    /// Counters, gauges and histograms that keep their values themselves.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Shows what `source` makes too. Its names are its own: nothing else here has them.
    pub fn add(&mut self, source: impl FamilySource + 'static) {
        self.sources.push(Box::new(source));
    }

    /// The text of all families.
    ///
    /// # Errors
    /// A registered collector gave a family that can't be written.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        for source in &self.sources {
            for family in source.expose().texts() {
                text.extend_from_slice(family.as_bytes());
            }
        }
        Ok(text)
    }
}
