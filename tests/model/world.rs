//! Many lives side by side on one fake cluster, read over sockets by the poll task that production runs, and evaluated as the
//! engine does it. After each thing that happens the readings are held against the oracle, tick by tick.

use fake_kafka::{
    FakeKafka,
    state::{Former, Group, Partition, State, Topic},
};
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use lagscale::{
    kafka::{Address, Security, connection::Deadlines},
    lag::Moment,
    poll::{Manager, Timing},
    snapshot::ClusterKey,
};
use tokio::sync::mpsc;

use crate::{life::Life, watched::Watched};

pub const BROKERS: i32 = 3;
pub const EVERY: Duration = Duration::from_millis(60);
/// After the last fault a reading is right again within so many ticks.
const TICKS: usize = 3;
/// Far more than a tick takes on any machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The size of a world.
#[derive(Clone, Copy, Debug)]
pub struct Climate {
    /// How often topics are described anew though nothing seems wrong.
    pub layout_every: Duration,
}

impl Climate {
    /// With every tick, so that whatever needs a description has one within the three ticks.
    pub const BRISK: Self = Self {
        layout_every: EVERY,
    };
    /// So seldom that a description comes only where a reading calls for it.
    pub const LAZY: Self = Self {
        layout_every: Duration::from_secs(3_600),
    };
}

impl Climate {
    fn timing(self) -> Timing {
        Timing {
            deadlines: Deadlines {
                dial: PATIENCE,
                call: PATIENCE,
            },
            patience: Duration::from_millis(30),
            layout_every: self.layout_every,
            starts_every: EVERY,
            retries: [EVERY / 10, EVERY / 3],
        }
    }
}

/// A life that was broken, and how.
#[derive(Clone, Debug)]
pub struct Broken {
    pub life: usize,
    pub how: String,
}

/// Lives the lives side by side; the first that is broken.
pub async fn live(lives: &[Life], climate: Climate) -> Option<Broken> {
    let kafka = FakeKafka::start(BROKERS).await;
    {
        let mut state = kafka.state();
        state.log = None;
        state.fetches = true;
    }
    let port = kafka.state().ports[0];
    let security = Security::default();
    let key = ClusterKey {
        bootstrap: [Address::new("127.0.0.1", port)].into(),
        fingerprint: security.fingerprint(),
    };
    let (sender, mut snapshots) = mpsc::unbounded_channel();
    let mut manager = Manager::new(climate.timing(), sender);
    let mut all: Vec<Watched> = lives
        .iter()
        .enumerate()
        .map(|(n, life)| Watched::new(n, life, &key))
        .collect();
    put(&mut kafka.state(), &all);
    for watched in &all {
        let demand = watched.demand();
        manager.ask("", &key, &watched.group, demand, &security, None);
    }
    let steps = lives.iter().map(|l| l.acts.len()).max().unwrap_or(0);
    for step in 0..=steps {
        if step > 0 {
            for watched in &mut all {
                watched.happen(step - 1);
            }
            put(&mut kafka.state(), &all);
        }
        for watched in &mut all {
            watched.begin();
        }
        let mut settled = false;
        let begun = Instant::now();
        let snapshot = loop {
            let next = tokio::time::timeout(PATIENCE, snapshots.recv()).await;
            let Ok(Some((_, mut snapshot))) = next else {
                panic!("no snapshot for {PATIENCE:?}");
            };
            while let Ok((_, newer)) = snapshots.try_recv() {
                snapshot = newer;
            }
            let now = Moment::now();
            for (n, watched) in all.iter_mut().enumerate() {
                if let Err(how) = watched.look(&key, &snapshot, now) {
                    let how = format!("{how}\n{}", watched.story);
                    return Some(Broken { life: n, how });
                }
            }
            let reads = all.iter().map(|w| w.reads.len()).min().unwrap_or(0);
            if reads > 1 && !settled {
                settled = true;
                for watched in &mut all {
                    watched.truth.settle();
                }
                put(&mut kafka.state(), &all);
                for watched in &mut all {
                    watched.begin();
                }
            }
            if settled && reads > TICKS + 1 {
                break snapshot;
            }
            let taken = begun.elapsed();
            if taken >= PATIENCE {
                let late = all.iter().position(|w| w.reads.len() == reads).unwrap();
                let watched = &all[late];
                let how = format!(
                    "step {step}: {reads} ticks in {taken:?}; the cluster: {:?}{}\n{}",
                    snapshot.trouble,
                    watched.known(&snapshot),
                    watched.story
                );
                return Some(Broken { life: late, how });
            }
        };
        for (n, watched) in all.iter_mut().enumerate() {
            if let Err(how) = watched.judge(&key, &snapshot) {
                let how = format!("after {TICKS} ticks: {how}\n{}", watched.story);
                return Some(Broken { life: n, how });
            }
            watched.truth.was_read();
        }
    }
    assert_eq!(kafka.state().violations, Vec::<String>::new());
    None
}

/// Makes the cluster what the oracle says it is.
fn put(state: &mut State, all: &[Watched]) {
    for watched in all {
        let mut commits = HashMap::new();
        for (name, topic) in watched.names.iter().zip(&watched.truth.topics) {
            let partitions = topic.logs.iter().map(|log| Partition {
                leader: log.leader.unwrap_or(-1),
                start: log.start,
                end: log.end,
                stable: log.open,
                epoch: log.epoch,
                former: log
                    .former
                    .map(|(leader, end, epoch)| Former { leader, end, epoch }),
                behind: log.late.then_some(i64::midpoint(log.start, log.end)),
            });
            let made = Topic {
                id: [topic.id; 16],
                partitions: partitions.collect(),
            };
            state.topics.insert(name.clone(), made);
            if topic.denied {
                state.hidden.insert(name.clone());
            } else {
                state.hidden.remove(name);
            }
            let mut committed = BTreeMap::new();
            for (id, log) in (0..).zip(&topic.logs) {
                committed.extend(log.committed.map(|c| (id, c)));
                state.markers.insert((name.clone(), id), log.markers());
            }
            if !committed.is_empty() {
                commits.insert(name.clone(), committed);
            }
        }
        let group = state.groups.entry(watched.group.to_string());
        let group = group.or_insert_with(|| Group {
            // A member, so that a coordinator that shows nothing is not taken for one that hides it.
            reads: Some(Box::leak(watched.names[1].clone().into_boxed_str())),
            ..Group::default()
        });
        group.commits = commits;
    }
}
