//! Memory of the controller, counted: it grows with the objects and with nothing else.

use allocation_counter::measure;
use serde_json::json;

use super::stage::{SCALED_OBJECTS, Stage, kafka, scaled_object};

/// Bytes of the controller's own for each of so many quiet objects; the objects themselves are the stores'.
fn bytes_each(count: usize) -> i64 {
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
    let freed = measure(|| stage.forget_everything()).bytes_current;
    -freed / i64::try_from(count).unwrap()
}

#[test]
fn an_object_costs_so_much_memory_and_a_thousand_cost_no_more_each() {
    let (few, many) = (bytes_each(100), bytes_each(1_000));
    println!("{few} bytes each of 100, {many} of 1 000");
    assert!(many < 9 << 10, "{many}");
    assert!(many <= few + few / 10, "{few}, then {many}");
}
