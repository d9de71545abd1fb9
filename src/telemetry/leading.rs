//! Whether this replica writes, as it is at the moment of the scrape.

use prometheus::{
    IntGauge,
    core::{self, Desc},
    proto::MetricFamily,
};

use crate::controller::{Keda, Lead};

/// Asks at each scrape.
pub struct Leading {
    lead: Lead,
    leader: IntGauge,
    keda: IntGauge,
}

impl Leading {
    /// Over `lead`.
    pub fn new(lead: Lead) -> Result<Self, prometheus::Error> {
        Ok(Self {
            lead,
            leader: IntGauge::new(
                "lagscale_leader",
                "1 where this replica holds the Lease: it alone writes.",
            )?,
            keda: IntGauge::new(
                "lagscale_keda_alive",
                "1 while a KEDA operator is alive, beside which nothing is written.",
            )?,
        })
    }
}

impl core::Collector for Leading {
    fn desc(&self) -> Vec<&Desc> {
        let mut descs = self.leader.desc();
        descs.extend(self.keda.desc());
        descs
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let alive = matches!(self.lead.keda(), Keda::Alive { .. });
        self.leader.set(self.lead.is_elected().into());
        self.keda.set(alive.into());
        let mut families = self.leader.collect();
        families.extend(self.keda.collect());
        families
    }
}
