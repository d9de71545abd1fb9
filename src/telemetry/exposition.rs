//! Everything that `/metrics` shows: counters that are registered, and families made at a scrape.

use bytes::Bytes;
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

    /// The text of all families, in blocks: with thousands of objects it has megabytes.
    ///
    /// # Errors
    /// A registered collector gave a family that can't be written.
    pub fn texts(&self) -> Result<Vec<Bytes>, prometheus::Error> {
        let mut registered = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut registered)?;
        let made = self.sources.iter().flat_map(|s| s.expose().texts());
        let texts = [registered.into()].into_iter().chain(made.map(Bytes::from));
        Ok(texts.collect())
    }
}
