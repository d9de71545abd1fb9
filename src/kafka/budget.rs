//! The budget for asking brokers: so much for all, and less for those of one namespace, so that a broker that somebody points us
//! at takes no memory, socket or look-up of another tenant's.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers up to this size are read without asking for room.
const SMALL: usize = 64 << 10;

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    /// Bytes of large answers that are being read, in parts of 64 KiB.
    pub frames: usize,
    /// Host names that are being looked up: each holds a thread until its server answers.
    pub lookups: usize,
    /// Brokers that are asked: each is a connection and a task.
    pub lanes: usize,
    /// Partitions times groups that are kept: 1.5 KB each with their groups and topics while a tick is under way, as the poll bench has it.
    pub pairs: usize,
}

/// The memory that the amounts are made for: the limit of the shipped Deployment.
const MEMORY: u64 = 256 << 20;
/// The memory that is taken to be there where nobody limits it.
const UNLIMITED: u64 = 1 << 30;
/// In all.
const ALL: Amounts = Amounts {
    frames: (64 << 20) / SMALL,
    lookups: 64,
    lanes: 2_048,
    pairs: 60_000,
};
/// For the clusters that one namespace asked for first.
const OF_ONE: Amounts = Amounts {
    frames: (16 << 20) / SMALL,
    lookups: 8,
    lanes: 512,
    pairs: 30_000,
};

/// The budgets of a process.
#[derive(Clone, Debug)]
pub struct Budgets {
    all: Arc<Share>,
    of_one: Amounts,
    namespaces: Arc<Mutex<HashMap<String, Weak<Share>>>>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self::within(ALL.lanes, None)
    }
}

/// The budget that a cluster is read on; another one of its own by default.
#[derive(Clone, Debug)]
pub struct Budget {
    all: Arc<Share>,
    own: Arc<Share>,
}

impl Default for Budget {
    fn default() -> Self {
        Budgets::default().of("")
    }
}

#[derive(Debug)]
struct Share {
    of: Amounts,
    frames: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    lanes: Arc<Semaphore>,
    pairs: AtomicUsize,
}

/// Held as long as what it stands for.
#[derive(Debug)]
pub struct Held(#[allow(dead_code, reason = "given back when dropped")] [OwnedSemaphorePermit; 2]);

/// Pairs that are kept.
#[derive(Debug)]
pub struct Pairs {
    budget: Budget,
    count: usize,
}

impl Budgets {
    /// So much in all, and so much for a namespace.
    #[must_use]
    pub fn new(all: Amounts, of_one: Amounts) -> Self {
        Self {
            all: Arc::new(Share::new(all)),
            of_one,
            namespaces: Arc::default(),
        }
    }

    /// The process's, where a process may have no more than `lanes` connections to brokers and so many bytes of `memory`.
    /// Pairs grow and shrink with the memory, since they are most of it.
    #[must_use]
    pub fn within(lanes: usize, memory: Option<u64>) -> Self {
        let pairs = |of: Amounts| {
            let share =
                u128::from(memory.unwrap_or(UNLIMITED)) * of.pairs as u128 / u128::from(MEMORY);
            usize::try_from(share).unwrap_or(usize::MAX)
        };
        let all = Amounts {
            lanes: ALL.lanes.min(lanes),
            pairs: pairs(ALL),
            ..ALL
        };
        let of_one = Amounts {
            pairs: pairs(OF_ONE),
            ..OF_ONE
        };
        Self::new(all, of_one)
    }

    /// That of a namespace.
    #[must_use]
    pub fn of(&self, namespace: &str) -> Budget {
        let mut known = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, share| share.strong_count() > 0);
        let own = known.get(namespace).and_then(Weak::upgrade);
        let own = own.unwrap_or_else(|| {
            let share = Arc::new(Share::new(self.of_one));
            known.insert(namespace.to_owned(), Arc::downgrade(&share));
            share
        });
        Budget {
            all: self.all.clone(),
            own,
        }
    }
}

impl Share {
    fn new(of: Amounts) -> Self {
        Self {
            of,
            frames: Arc::new(Semaphore::new(of.frames)),
            lookups: Arc::new(Semaphore::new(of.lookups)),
            lanes: Arc::new(Semaphore::new(of.lanes)),
            pairs: AtomicUsize::new(0),
        }
    }
}

impl Budget {
    /// Waits for room for an answer of so many bytes; `None` for a small one.
    pub(super) async fn frame(&self, bytes: usize) -> Option<Held> {
        let parts = u32::try_from(bytes.div_ceil(SMALL)).ok()?;
        if parts <= 1 {
            return None;
        }
        self.take(|share| &share.frames, parts).await
    }

    /// Waits for a look-up.
    pub(super) async fn lookup(&self) -> Option<Held> {
        self.take(|share| &share.lookups, 1).await
    }

    /// A connection to a broker; `None`, where there are too many.
    #[must_use]
    pub fn lane(&self) -> Option<Held> {
        let own = self.own.lanes.clone().try_acquire_owned().ok()?;
        let all = self.all.lanes.clone().try_acquire_owned().ok()?;
        Some(Held([own, all]))
    }

    /// How many connections a namespace may have.
    #[must_use]
    pub fn most_lanes(&self) -> usize {
        self.own.of.lanes
    }

    /// No pairs yet.
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        Pairs {
            budget: self.clone(),
            count: 0,
        }
    }

    /// The namespace's own first: whoever waits for it holds nothing of the others'. Never closed.
    async fn take(&self, of: fn(&Share) -> &Arc<Semaphore>, count: u32) -> Option<Held> {
        let own = of(&self.own).clone().acquire_many_owned(count).await.ok()?;
        let all = of(&self.all).clone().acquire_many_owned(count).await.ok()?;
        Some(Held([own, all]))
    }
}

impl Pairs {
    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many there may be for a namespace.
    #[must_use]
    pub fn most(&self) -> usize {
        self.budget.own.of.pairs
    }

    /// How many there may be in all.
    #[must_use]
    pub fn most_in_all(&self) -> usize {
        self.budget.all.of.pairs
    }

    /// Keeps so many instead; `false`, and as many as before, where that is more than there may be.
    pub fn keep(&mut self, count: usize) -> bool {
        let shares = [&self.budget.own, &self.budget.all];
        let change = |share: &Share, less: usize, more: usize| {
            let new = |now: usize| {
                let next = now.saturating_sub(less).saturating_add(more);
                (next <= share.of.pairs || more <= less).then_some(next)
            };
            let order = Ordering::Relaxed;
            share.pairs.fetch_update(order, order, new).is_ok()
        };
        if !change(shares[0], self.count, count) {
            return false;
        }
        if !change(shares[1], self.count, count) {
            change(shares[0], count, self.count);
            return false;
        }
        self.count = count;
        true
    }
}

impl Drop for Pairs {
    fn drop(&mut self) {
        self.keep(0);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::kafka::connection::MAX_FRAME;

    #[test]
    fn pairs_follow_the_memory_of_the_container_and_connections_its_open_files() {
        let most = |memory| {
            let budget = Budgets::within(100, memory).of("shop");
            (budget.own.of.pairs, budget.all.of.pairs)
        };
        let shipped = Some(256 << 20);
        assert_eq!(most(shipped), (30_000, 60_000));
        assert_eq!([most(None), most(Some(1 << 30))], [(120_000, 240_000); 2]);
        assert_eq!(most(Some(64 << 20)), (7_500, 15_000));
        assert_eq!(most(Some(0)), (0, 0));
        assert_eq!(Budgets::within(100, shipped).of("").all.of.lanes, 100);
    }

    #[test]
    fn large_answers_of_a_namespace_wait_for_its_room_and_small_ones_or_others_do_not() {
        let budgets = Budgets::default();
        let (mine, other) = (budgets.of("mine"), budgets.of("other"));
        let taken: Vec<_> = (0..2)
            .map(|_| mine.frame(MAX_FRAME).now_or_never())
            .collect();
        assert!(taken.iter().all(|t| matches!(t, Some(Some(_)))));
        let again = budgets.of("mine");
        assert!(again.frame(SMALL + 1).now_or_never().is_none());
        assert!(matches!(again.frame(SMALL).now_or_never(), Some(None)));
        assert!(matches!(
            other.frame(MAX_FRAME).now_or_never(),
            Some(Some(_))
        ));
        drop(taken);
        assert!(matches!(
            again.frame(MAX_FRAME).now_or_never(),
            Some(Some(_))
        ));
    }

    #[test]
    fn what_one_namespace_may_not_have_is_there_for_another_and_all_have_an_end() {
        let amounts = |lanes, pairs| Amounts {
            lanes,
            pairs,
            ..OF_ONE
        };
        let budgets = Budgets::new(amounts(5, 50), amounts(3, 30));
        let (mine, other) = (budgets.of("mine"), budgets.of("other"));
        let lanes: Vec<_> = (0..4).map(|_| mine.lane()).collect();
        assert_eq!(lanes.iter().flatten().count(), 3);
        let others: Vec<_> = (0..4).map(|_| other.lane()).collect();
        assert_eq!(others.iter().flatten().count(), 2);
        drop(lanes);
        assert!(other.lane().is_some());

        let (mut first, mut second, mut third) = (mine.pairs(), mine.pairs(), other.pairs());
        assert!(first.keep(20) && second.keep(10) && !second.keep(11));
        assert!(!third.keep(21) && third.keep(20) && third.count() == 20);
        assert!(first.keep(5) && third.keep(30) && !third.keep(31));
        drop(first);
        assert!(
            second.keep(20) && !second.keep(21),
            "the others have 30 of 50"
        );
        drop((second, third));
        assert!(budgets.of("mine").pairs().keep(30));
    }

    #[test]
    fn the_budget_of_a_namespace_goes_with_the_last_who_reads_on_it() {
        let budgets = Budgets::default();
        let lane = budgets.of("mine").lane();
        drop(budgets.of("other"));
        assert_eq!(budgets.namespaces.lock().unwrap().len(), 1);
        drop(lane);
    }
}
