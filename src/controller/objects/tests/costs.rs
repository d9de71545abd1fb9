//! Memory of the controller, counted: it grows with the objects and with nothing else.

use allocation_counter::measure;
use serde_json::json;

use super::stage::{SCALED_OBJECTS, Stage, kafka, scaled_object};
use crate::controller::objects::{Change, ObjectKey};

/// So many objects, quiet, each with a group of its own.
fn quiet(count: usize) -> Stage {
    let mut stage = Stage::new();
    for n in 0..count {
        let name = format!("o{n}");
        stage.state(|s| s.workloads.insert(name.clone(), 1));
        let group = json!({"consumerGroup": format!("group of {name}")});
        let object = scaled_object(&name, &json!({"triggers": [kafka(&group)]}));
        stage.state(|s| s.put(SCALED_OBJECTS, object));
        stage.expect_group(&format!("group of {name}"), &[(0, 0), (0, 0), (0, 0)]);
    }
    stage.note_all();
    stage.sample();
    stage.after(20);
    stage
}

/// Bytes of the controller's own for each of so many quiet objects; the objects themselves are the stores'.
fn bytes_each(count: usize) -> i64 {
    let mut stage = quiet(count);
    let freed = measure(|| stage.forget_everything()).bytes_current;
    -freed / i64::try_from(count).unwrap()
}

/// Bytes that are allocated when one object among so many changes, its HPA does, its group is read anew, or nothing happens for a second.
fn bytes_of_changes(count: usize) -> [u64; 4] {
    let mut stage = quiet(count);
    let object = || Change::Object(ObjectKey::scaled_object("shop", "o7"));
    let hpa = || Change::Hpa(("shop".into(), "keda-hpa-o7".into()));
    stage.expect_group("group of o7", &[(0, 1), (0, 2), (0, 3)]);
    let mut reading = stage.readings(|group| group == "group of o7");
    let changes = [object(), hpa(), reading.remove(0), Change::Beat];
    changes.map(|change| measure(|| stage.note(change)).bytes_total)
}

#[test]
fn a_change_of_one_object_costs_among_a_thousand_what_it_costs_among_a_hundred() {
    let (few, many) = (bytes_of_changes(100), bytes_of_changes(1_000));
    println!("{few:?} bytes among 100, {many:?} among 1 000");
    assert!(few[..3].iter().all(|bytes| *bytes > 0));
    for (few, many) in few.into_iter().zip(many) {
        // Trees are a little deeper.
        assert!(many <= few + few / 10 + 1_024, "{few}, then {many}");
    }
}

#[test]
fn an_object_costs_so_much_memory_and_a_thousand_cost_no_more_each() {
    let (few, many) = (bytes_each(100), bytes_each(1_000));
    println!("{few} bytes each of 100, {many} of 1 000");
    assert!(many < 9 << 10, "{many}");
    assert!(many <= few + few / 10, "{few}, then {many}");
}
