use std::time::Duration;

use super::*;

fn read(committed: i64, end: i64, seconds: u64) -> Reading {
    let epoch = *EPOCH.get_or_init(Moment::now);
    Reading {
        committed: (committed >= 0).then_some(committed),
        end,
        start: Some(0),
        topic_id: Some([1; 16]),
        stable: None,
        leader_epoch: Some(1),
        at: epoch.later(Duration::from_secs(seconds)),
    }
}
static EPOCH: std::sync::OnceLock<Moment> = std::sync::OnceLock::new();

#[test]
fn a_commit_beyond_the_end_keeps_the_last_good_pair_for_two_ticks() {
    let mut track = Track::begin(read(90, 100, 0));
    track.take(read(110, 100, 5));
    assert_eq!((track.committed, track.beyond), (Some(90), false));
    track.take(read(110, 100, 10));
    assert_eq!((track.committed, track.beyond), (Some(110), true));
    assert_eq!(track.baseline, 100);
    track.take(read(120, 130, 15));
    assert_eq!((track.committed, track.beyond), (Some(120), false));
}

#[test]
fn a_log_that_lost_records_is_believed_once_that_is_confirmed() {
    let mut fallen = Track::begin(read(190, 200, 0));
    fallen.take(read(190, 100, 5));
    assert_eq!((fallen.committed, fallen.end), (Some(190), 200));
    assert!(fallen.is_doubted());
    fallen.take(read(190, 100, 10));
    assert_eq!((fallen.beyond, fallen.loss), (true, Some(Loss::Truncated)));
    assert_eq!((fallen.committed, fallen.end), (Some(190), 100));
    fallen.take(read(90, 100, 15));
    assert_eq!((fallen.beyond, fallen.loss), (false, None));

    let mut elected = Track::begin(read(90, 100, 0));
    let next = |at| Reading {
        leader_epoch: Some(2),
        ..read(110, 100, at)
    };
    elected.take(next(5));
    assert_eq!(elected.loss, None);
    elected.take(next(10));
    assert_eq!(elected.loss, Some(Loss::Truncated));
}

#[test]
fn an_end_that_falls_for_a_moment_hides_no_lag() {
    // As a new leader before Kafka 2.2 tells it until it knows the high watermark.
    let mut track = Track::begin(read(90, 200, 0));
    let behind = Reading {
        leader_epoch: Some(2),
        ..read(90, 120, 5)
    };
    track.take(behind);
    assert_eq!((track.committed, track.end), (Some(90), 200));
    track.take(Reading { end: 230, ..behind });
    assert_eq!((track.end, track.is_doubted()), (230, false));
}

#[test]
fn the_end_that_a_deposed_leader_tells_is_never_believed() {
    let mut track = Track::begin(read(90, 200, 0));
    for at in [5, 10, 15, 20] {
        track.take(Reading {
            leader_epoch: Some(0),
            ..read(95, 100, at)
        });
        assert_eq!((track.committed, track.end), (Some(90), 200));
    }
    track.take(read(96, 210, 25));
    assert_eq!(
        (track.committed, track.end, track.loss),
        (Some(96), 210, None)
    );
}

#[test]
fn without_topic_ids_epochs_may_begin_anew() {
    let mut track = Track::begin(read(90, 200, 0));
    let anew = |at| Reading {
        leader_epoch: Some(0),
        topic_id: None,
        ..read(5, 10, at)
    };
    track.take(anew(5));
    track.take(anew(10));
    assert_eq!((track.committed, track.end), (Some(5), 10));
}

#[test]
fn a_commit_that_is_gone_from_the_same_topic_is_remembered_until_there_is_one_again() {
    let mut track = Track::begin(read(90, 100, 0));
    track.take(read(-1, 120, 5));
    assert_eq!(
        (track.committed, track.end, track.loss),
        (Some(90), 120, Some(Loss::Expired))
    );
    track.take(read(-1, 130, 10));
    assert_eq!(
        (track.committed, track.end, track.loss),
        (Some(90), 130, Some(Loss::Expired))
    );
    track.take(read(130, 130, 15));
    assert_eq!((track.committed, track.loss), (Some(130), None));
    let mut unknown = read(-1, 140, 20);
    unknown.topic_id = None;
    track.take(unknown);
    assert_eq!((track.committed, track.loss), (None, None));
}

#[test]
fn what_was_drained_stays_so_for_one_commit_in_one_log() {
    let drained = |next: Reading| {
        let mut track = Track::begin(read(99, 100, 0));
        track.drained = Some(100);
        track.take(next);
        track.drained
    };
    assert_eq!(drained(read(99, 100, 5)), Some(100));
    assert_eq!(drained(read(99, 104, 5)), Some(100), "and 104 is more");
    assert_eq!(drained(read(98, 100, 5)), None);
    let mut elected = read(99, 100, 5);
    elected.leader_epoch = Some(2);
    assert_eq!(drained(elected), None);
}

#[test]
fn a_single_race_leaves_no_trace() {
    let mut track = Track::begin(read(90, 100, 0));
    track.take(read(110, 100, 5));
    track.take(read(110, 120, 10));
    assert_eq!((track.committed, track.end), (Some(110), 120));
    track.take(read(130, 120, 15));
    assert_eq!(track.committed, Some(110), "the doubt begins anew");
}

#[test]
fn a_commit_of_the_former_topic_is_none_of_the_new_one() {
    let anew = |committed, end, at| Reading {
        topic_id: Some([2; 16]),
        ..read(committed, end, at)
    };
    let mut track = Track::begin(read(90, 100, 0));
    for (end, at) in [(3, 5), (95, 10)] {
        track.take(anew(90, end, at));
        assert_eq!((track.committed, track.baseline), (None, 0), "{end}");
        assert_eq!(track.loss, Some(Loss::Recreated));
    }
    // Told once more it is believed; and when it goes, nothing of it is remembered.
    track.take(anew(90, 120, 15));
    assert_eq!((track.committed, track.loss), (Some(90), None));
    track.take(anew(-1, 120, 20));
    assert_eq!((track.committed, track.baseline), (None, 0));
    assert_eq!(track.loss, Some(Loss::Recreated));
    // A commit that was made in the new topic is remembered as any other.
    track.take(anew(10, 120, 25));
    track.take(anew(-1, 120, 30));
    assert_eq!(
        (track.committed, track.loss),
        (Some(10), Some(Loss::Expired))
    );
}

#[test]
fn a_new_topic_id_forgets_what_was_known_of_the_old_topic() {
    let mut track = Track::begin(read(90, 100, 0));
    let mut again = read(-1, 3, 5);
    again.topic_id = Some([2; 16]);
    track.take(again);
    assert_eq!((track.committed, track.end), (None, 3));
    assert_eq!(track.loss, Some(Loss::Recreated));
    assert_eq!(track.baseline, 0, "all three records are new to the group");
}

#[test]
fn a_lag_stands_from_its_first_record_with_the_same_commit() {
    let plain = Isolation::ReadUncommitted;
    let since = |track: &Track| track.stuck_since(plain);
    let at = |seconds| Some(read(0, 0, seconds).at);
    let mut track = Track::begin(read(100, 100, 0));
    assert_eq!(since(&track), None);
    track.take(read(100, 105, 5));
    assert_eq!(since(&track), at(5));
    track.take(read(100, 107, 10));
    assert_eq!(since(&track), at(5));
    track.take(read(101, 107, 15));
    assert_eq!(since(&track), at(15));
    track.take(read(107, 107, 20));
    assert_eq!(since(&track), None);
}

#[test]
fn what_is_no_lag_does_not_age() {
    // Markers, deleted records, and what an open transaction holds back from this isolation.
    let mut markers = Track::begin(read(99, 100, 0));
    markers.drained = Some(100);
    markers.take(read(99, 100, 5));
    assert_eq!(markers.stuck_since(Isolation::ReadUncommitted), None);
    let mut deleted = read(50, 100, 0);
    deleted.start = Some(100);
    let deleted = Track::begin(deleted);
    assert_eq!(deleted.stuck_since(Isolation::ReadUncommitted), None);
    let mut open = read(90, 100, 0);
    open.stable = Some(90);
    let open = Track::begin(open);
    assert_eq!(open.stuck_since(Isolation::ReadCommitted), None);
    assert!(open.stuck_since(Isolation::ReadUncommitted).is_some());
}
