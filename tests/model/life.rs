//! Events of the topics and the group of one trigger, as data: numbers are taken modulo what there is, so that every
//! script means something and a failing one can be made shorter.

use lagscale::lag::{Isolation, Policy};
use proptest::{collection::vec, prelude::*, sample::select};

/// How a trigger names its two topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Both by name.
    Named,
    /// By a pattern.
    Pattern,
    /// Neither: every topic that the group has committed.
    All,
}

/// One thing that happens. `p` is a partition of either topic, `part` a share of what there is, in 255ths.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Produce {
        p: u8,
        n: u8,
    },
    Commit {
        p: u8,
        part: u8,
    },
    /// Retention, or DeleteRecords.
    Trim {
        p: u8,
        part: u8,
    },
    /// Every commit of the group is gone.
    Expire,
    /// The commits in one topic are gone, as `--delete-offsets` does it.
    Leave {
        b: bool,
    },
    /// A transaction begins and writes.
    Open {
        p: u8,
        n: u8,
    },
    /// It ends: a marker takes an offset.
    End {
        p: u8,
        abort: bool,
    },
    /// Another broker leads, and the former one says so.
    Move {
        p: u8,
    },
    /// Another broker leads, and does not know the high watermark for a moment.
    Late {
        p: u8,
    },
    /// Another broker leads, and the former one does not know it.
    Depose {
        p: u8,
    },
    /// It knows it.
    Fence,
    /// Nobody leads.
    Leaderless {
        p: u8,
    },
    /// The log loses its end, as in an unclean election.
    Cut {
        p: u8,
        part: u8,
    },
    /// A topic is deleted and made anew.
    Anew {
        b: bool,
        partitions: u8,
        filled: u8,
    },
    /// A topic has one partition more.
    Add {
        b: bool,
    },
    /// A topic may not be described any more.
    Deny {
        b: bool,
    },
    /// Every topic may.
    Allow,
}

/// A trigger, what there is when it is seen first, and what happens then, one thing at a time.
#[derive(Clone, Debug)]
pub struct Life {
    pub mode: Mode,
    pub policy: Policy,
    pub isolation: Isolation,
    /// Contents of each partition of either topic: records, and how far the group has committed, if it has.
    pub begin: [Vec<(u8, Option<u8>)>; 2],
    pub acts: Vec<Act>,
}

/// Lives with everything in them, or with what needs no new description of topics.
pub fn lives(described: bool) -> impl Strategy<Value = Life> {
    let p = any::<u8>;
    let mut acts = vec![
        (
            6,
            (p(), 1..40_u8)
                .prop_map(|(p, n)| Act::Produce { p, n })
                .boxed(),
        ),
        (
            6,
            (p(), p())
                .prop_map(|(p, part)| Act::Commit { p, part })
                .boxed(),
        ),
        (
            2,
            (p(), p())
                .prop_map(|(p, part)| Act::Trim { p, part })
                .boxed(),
        ),
        (1, Just(Act::Expire).boxed()),
        (
            2,
            (p(), 1..9_u8).prop_map(|(p, n)| Act::Open { p, n }).boxed(),
        ),
        (
            3,
            (p(), any::<bool>())
                .prop_map(|(p, abort)| Act::End { p, abort })
                .boxed(),
        ),
        (2, p().prop_map(|p| Act::Move { p }).boxed()),
        (2, p().prop_map(|p| Act::Late { p }).boxed()),
        (2, p().prop_map(|p| Act::Depose { p }).boxed()),
        (2, Just(Act::Fence).boxed()),
        (
            1,
            (p(), p())
                .prop_map(|(p, part)| Act::Cut { p, part })
                .boxed(),
        ),
    ];
    if described {
        let b = any::<bool>;
        let anew = (b(), 1..4_u8, 0..20_u8).prop_map(|(b, partitions, filled)| Act::Anew {
            b,
            partitions,
            filled,
        });
        acts.extend([
            (1, b().prop_map(|b| Act::Leave { b }).boxed()),
            (2, anew.boxed()),
            (1, b().prop_map(|b| Act::Add { b }).boxed()),
            (1, b().prop_map(|b| Act::Deny { b }).boxed()),
            (2, Just(Act::Allow).boxed()),
            (1, p().prop_map(|p| Act::Leaderless { p }).boxed()),
        ]);
    }
    let partition = (0..60_u8, proptest::option::weighted(0.7, p()));
    let topic = || vec(partition.clone(), 1..3);
    (
        select(vec![Mode::Named, Mode::Pattern, Mode::All]),
        select(vec![Policy::Latest, Policy::Earliest]),
        select(vec![Isolation::ReadUncommitted, Isolation::ReadCommitted]),
        [topic(), topic()],
        vec(proptest::strategy::Union::new_weighted(acts), 1..12),
    )
        .prop_map(|(mode, policy, isolation, begin, acts)| Life {
            mode,
            policy,
            isolation,
            begin,
            acts,
        })
}
