//! The story: true consumers, a true pump, and as many consumers as there are partitions, never one more.

use bed::{Pump, busy, wait};
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World, example},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial(
            "the story: records that come slowly scale 5 partitions to 5 consumers and back to 1",
            slowly,
        ),
        shared.trial(
            "a burst of 100 records drains through 29 without ever asking for a sixth consumer",
            burst,
        ),
    ]
}

async fn slowly(world: &World) {
    play(world, "slowly", 5, 4000).await;
}

async fn burst(world: &World) {
    // Each partition takes its 20 records' time, long enough for all five to have joined on a busy machine.
    play(world, "burst", 1000, 5000).await;
}

async fn play(world: &World, name: &str, per_second: u32, work_ms: u64) {
    let bed = &world.bed;
    let scene = Scene::new(bed, name).await;
    let topic = scene.topic("t", 5).await;
    scene.consumers("consumer", &topic, name, work_ms).await;
    let observer = scene.observe("consumer").await;
    scene
        .scaled_object(
            "consumer",
            &[scene.trigger(&topic, name, &json!({}))],
            &json!({"pollingInterval": 30}),
        )
        .await;
    let metric = format!("s0-kafka-{topic}");
    // The consumer commits where it starts, so the story begins at nought and not at one per partition.
    scene.value_is("consumer", &metric, "0").await;
    wait::until("kubectl get hpa to begin the story", PATIENCE, async || {
        let args = [
            "get",
            "hpa",
            "-n",
            &scene.namespace,
            "keda-hpa-consumer",
            "--no-headers",
        ];
        let line = bed.control_plane.kubectl(&args).await?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let wanted = [
            "keda-hpa-consumer",
            "Deployment/consumer",
            "0/5",
            "(avg)",
            "1",
            "5",
            "1",
        ];
        if words.starts_with(&wanted) {
            Ok(())
        } else {
            Err(line)
        }
    })
    .await;
    let log = bed.dir().join(format!("pump-{name}.log"));
    let args = [
        format!("--topic={topic}"),
        format!("--per-second={per_second}"),
    ];
    let mut pump = Pump::start(&example("pump"), &bed.kafka, &args, &log).await;
    for wrong in ["0", "-1", "many", ""] {
        let (code, said) = pump.pump(wrong).await;
        assert_eq!(code, 400, "{said}");
        assert!(said.contains("whole number"), "{said}");
    }
    assert_eq!(
        pump.pump("100").await,
        (200, "request submitted: count=100".into())
    );
    scene.reaches(&observer, 5).await;
    wait::until(
        "every consumer to have one partition",
        PATIENCE,
        async || {
            let busy = busy(bed, &scene.namespace);
            if busy.len() == 5 { Ok(()) } else { Err(busy) }
        },
    )
    .await;
    scene.value_is("consumer", &metric, "0").await;
    scene.reaches(&observer, 1).await;
    assert_eq!(observer.highest(), 5, "{:?}", observer.history());
}
