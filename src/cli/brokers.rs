//! One look at a group from a terminal: the way that the controller reads, once, without Kubernetes.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use tokio::sync::mpsc;

use super::properties::Properties;
use crate::{
    lag::Moment,
    poll::{Manager, Timing},
    scaling::{self, Readout, Recalled},
    snapshot::{ClusterKey, GroupDemand, Snapshot},
    triggers::{Kafka, Parameters, Sources},
};

/// How often a group is read while somebody watches it.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// The way to a cluster, named as Kafka's own tools name it.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// host:port of brokers, separated by commas.
    #[arg(
        long,
        visible_alias = "bootstrap-servers",
        env = "KAFKA_BOOTSTRAP_SERVERS"
    )]
    pub bootstrap_server: Option<String>,
    /// A client's properties file: security.protocol, sasl.*, ssl.* with PEM stores.
    #[arg(long, visible_alias = "consumer-config", value_name = "FILE")]
    pub command_config: Option<PathBuf>,
    /// Seconds until a broker that does not answer is given up.
    #[arg(long, default_value_t = 15)]
    pub timeout: u64,
}

/// Which groups of it, and how their lag is counted.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub groups: Vec<String>,
    pub topics: Vec<String>,
    /// As Kafka's clients name it.
    pub isolation_level: Option<String>,
    pub policy: Option<String>,
}

/// A cluster with what is asked of it.
pub(super) struct Brokers {
    /// One trigger for each group.
    pub triggers: Vec<Kafka>,
    cluster: ClusterKey,
    patience: Duration,
}

/// A snapshot with the trigger that reads it.
pub(super) struct Look {
    pub snapshot: Arc<Snapshot>,
    pub now: Moment,
}

impl Brokers {
    /// Puts arguments and properties together; the error says what is missing.
    pub fn new(args: &ClusterArgs, asked: &Asked) -> Result<Self, String> {
        let properties = match &args.command_config {
            Some(path) => Properties::read(path)?,
            None => Properties::default(),
        };
        let parameters = properties.parameters()?;
        let servers = args
            .bootstrap_server
            .as_deref()
            .or_else(|| properties.bootstrap());
        let servers = servers.ok_or(
            "--bootstrap-server is missing, and no bootstrap.servers is in --command-config",
        )?;
        let isolation = asked
            .isolation_level
            .as_deref()
            .or_else(|| properties.isolation_level())
            .map(|level| match level {
                "read_committed" => "readCommitted",
                _ => "readUncommitted",
            });
        let triggers = asked.groups.iter().map(|group| {
            let metadata = [
                ("bootstrapServers", Some(servers)),
                ("consumerGroup", Some(group.as_str())),
                ("isolation", isolation),
                ("offsetResetPolicy", asked.policy.as_deref()),
            ];
            let metadata = metadata.into_iter();
            let metadata = metadata.filter_map(|(k, v)| Some((k.to_owned(), v?.to_owned())));
            let mut metadata: BTreeMap<String, String> = metadata.collect();
            match asked.topics.as_slice() {
                [] => {}
                [one] => drop(metadata.insert("topic".into(), one.clone())),
                several => drop(metadata.insert("topics".into(), several.join(","))),
            }
            trigger(&metadata, &parameters)
        });
        let triggers: Vec<Kafka> = triggers.collect::<Result<_, _>>()?;
        let first = triggers.first().ok_or("--group is missing")?;
        Ok(Self {
            cluster: ClusterKey {
                bootstrap: first.bootstrap.clone(),
                fingerprint: first.security.fingerprint(),
            },
            patience: Duration::from_secs(args.timeout.clamp(1, 600)),
            triggers,
        })
    }

    /// Looks until everything was tried, or patience is over.
    pub async fn look(&self) -> Look {
        self.watch().next(&self.triggers).await
    }

    /// Begins to look again and again.
    pub fn watch(&self) -> Looks {
        let (snapshots, arrived) = mpsc::unbounded_channel();
        let mut manager = Manager::new(Timing::default(), snapshots);
        for kafka in &self.triggers {
            let demand = GroupDemand::new(&kafka.topics, kafka.isolation, EVERY);
            let group = &kafka.group;
            manager.ask("", &self.cluster, group, demand, &kafka.security, None);
        }
        Looks {
            _manager: manager,
            arrived,
            last: Arc::default(),
            patience: self.patience,
        }
    }
}

/// Looks that follow one another.
pub(super) struct Looks {
    _manager: Manager,
    arrived: mpsc::UnboundedReceiver<(ClusterKey, Arc<Snapshot>)>,
    last: Arc<Snapshot>,
    patience: Duration,
}

impl Looks {
    /// The next snapshot in which all of these were tried, or the last one when patience is over.
    pub async fn next(&mut self, triggers: &[Kafka]) -> Look {
        let end = Instant::now() + self.patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let arrived = tokio::time::timeout(left, self.arrived.recv()).await;
            let came = matches!(arrived, Ok(Some(_)));
            if let Ok(Some((_, snapshot))) = arrived {
                self.last = snapshot;
            }
            let look = Look {
                snapshot: self.last.clone(),
                now: Moment::now(),
            };
            if !came || triggers.iter().all(|k| look.of(k).tried) {
                return look;
            }
        }
    }
}

impl Look {
    /// The state of a trigger.
    pub fn of(&self, kafka: &Kafka) -> Readout {
        scaling::read(kafka, &self.snapshot, &Recalled::default(), EVERY, self.now)
    }
}

fn trigger(metadata: &BTreeMap<String, String>, parameters: &Parameters) -> Result<Kafka, String> {
    let environment = Parameters::new();
    let parsed = Kafka::parse(Sources {
        metadata,
        environment: &environment,
        parameters,
    });
    let kafka = parsed.map_err(|errors| errors.join("; "))?;
    match &kafka.withheld {
        Some(why) => Err(why.clone()),
        None => Ok(kafka),
    }
}
