//! Our readings beside the truth: a producer and members at a known pace, each reading judged by what was acknowledged
//! and what was sent. The long form prints docs/accuracy.md.

use std::time::Duration;

use bed::accuracy::{Pace, Play, play};
use libtest_mimic::Trial;

use crate::{Shared, world::World};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "beside a producer at speed no reading is negative, none is too low, and none is above the truth by more than was sent meanwhile",
        truth,
    )]
}

async fn truth(world: &World) {
    let member = |group: &str, consumed, commits| Pace {
        group: group.into(),
        consumed,
        commits: Duration::from_millis(commits),
    };
    let short = Play {
        topic: "truth".into(),
        partitions: 3,
        produced: 3000,
        every: Duration::from_millis(250),
        span: Duration::from_secs(20),
        // A consumer that commits each record as soon as it is there is the one that a wrong order of reading turns negative.
        members: vec![
            member("truth-at-the-end", u32::MAX, 50),
            member("truth-falls-behind", 1500, 500),
        ],
    };
    let verdicts = play(&world.bed.kafka, &short).await;
    for (member, verdict) in short.members.iter().zip(&verdicts) {
        let group = &member.group;
        assert!(
            verdict.readings > 30,
            "{group}: {} readings",
            verdict.readings
        );
        assert_eq!(verdict.negative, 0, "{group}: negative");
        assert_eq!(verdict.understated, 0, "{group}: too low");
        assert_eq!(verdict.overstated(), 0, "{group}: too high");
        assert_eq!(verdict.invented, 0, "{group}: never true");
    }
    assert!(
        verdicts[1].lag > verdicts[0].lag,
        "one of them falls behind"
    );
}
