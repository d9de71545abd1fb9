//! Whether this replica writes, and its engine turns, as it is at the moment of the scrape.

use std::time::Instant;

use prometheus::{
    Gauge, IntGauge,
    core::{self, Desc},
    proto::MetricFamily,
};

use super::Lead;
use crate::pulse::Pulse;

/// Asks at each scrape.
pub struct Leading {
    lead: Lead,
    pulse: Pulse,
    leader: IntGauge,
    keda: IntGauge,
    turn: Gauge,
}

impl Leading {
    /// Over `lead`, and the engine's pulse.
    pub fn new(lead: Lead, pulse: Pulse) -> Result<Self, prometheus::Error> {
        Ok(Self {
            lead,
            pulse,
            leader: IntGauge::new(
                "lagscale_leader",
                "1 where this replica holds the Lease: it alone writes.",
            )?,
            keda: IntGauge::new(
                "lagscale_keda_alive",
                "1 while a KEDA operator is alive, beside which nothing is written.",
            )?,
            turn: Gauge::new(
                "lagscale_engine_turn_age_seconds",
                "Since the engine's last turn ended; it turns every second.",
            )?,
        })
    }
}

impl core::Collector for Leading {
    fn desc(&self) -> Vec<&Desc> {
        let mut descs = self.leader.desc();
        descs.extend(self.keda.desc());
        descs.extend(self.turn.desc());
        descs
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let alive = self.lead.keda().is_alive();
        self.leader.set(self.lead.is_elected().into());
        self.keda.set(alive.into());
        self.turn.set(self.pulse.age(Instant::now()).as_secs_f64());
        let mut families = self.leader.collect();
        families.extend(self.keda.collect());
        families.extend(self.turn.collect());
        families
    }
}
