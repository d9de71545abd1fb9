//! docs/compare.md: the lines as tables, and how they were measured.

use std::{fmt::Write, fs, path::Path, process::Command};

use serde_json::Value;

use crate::chart;

const HEAD: &str = "# lagscale beside KEDA, measured

`make compare` wrote this page. It brings up a real control plane and a real Kafka for each side in turn on one machine, plays
the same work through KEDA and through lagscale, and takes every figure from the kernel, from Kafka's and from kube-apiserver's
own counters. A figure that is missing was not reached or not measured.
";

const HOW: &str = "
## How it is measured

- **Work**: n StatefulSets with a ScaledObject each (one Kafka trigger, `lagThreshold` 10, everything else by default), a group for
  each object, 20 topics of 3 partitions. Each group has a lag of 6, so every object is active and none is to be scaled up.
- **KEDA**: operator, metrics server and webhooks of the release, built from its Go module, with the flags of its manifests but for
  leader election and certificates (its own rotation is off); once with the limits that it has by default and once with
  `--kube-api-qps=200 --kube-api-burst=300`. Its figures are the sum of its
  three processes. lagscale is the static binary that `make static` builds, with no flags.
- **Bed**: etcd, kube-apiserver and kube-controller-manager 1.36 (HPA sync period 15 s, the default) and one Kafka 4.3 broker without
  TLS, or twelve where it says so; no pods run but in the story, so that nothing but the side and the control plane uses the machine.
- **Memory**: `VmRSS`. **CPU**: user and system time. **Kafka requests**: the broker's `RequestsPerSec` counters of client APIs.
  **Writes**: `apiserver_request_total` of ScaledObjects and of HPAs' specs. All over one quiet minute, 45 s after the last HPA.
- **Evaluations**: lagscale counts its own; KEDA's cost an OffsetFetch each.
- **The story**: as `make demo` plays it at its quick pace (100 records in 20 s, 2 s of work each, HPA sync period 3 s, window 15 s), with KEDA's
  default limits; looked at once a second, lag as the broker tells it.
- **GETs**: 500 by one client, one after the other, over all objects in turn.

## Repeat it

```
make compare
cargo run --profile bench -p bed --bin compare -- --further --keda-sizes 100 --raised-sizes --sizes 100 --brokers 0   # a part, in minutes; the rest stays
```

The lines behind the tables are in `target/compare.json`.
";

/// Quiet objects: the key of a line and the head of its column.
const QUIET: [(&str, &str); 12] = [
    ("objects", "objects"),
    ("rss_mb", "memory, MB"),
    ("peak_mb", "at its highest, MB"),
    ("cpu_s_per_min", "CPU, s a minute"),
    ("threads", "threads"),
    ("broker_connections", "connections to the broker"),
    ("api_connections", "to kube-apiserver"),
    ("kafka_requests_per_s", "Kafka requests a second"),
    ("steady_writes_per_min", "writes a minute"),
    (
        "evaluations_per_object_per_s",
        "evaluations an object a second",
    ),
    ("all_hpas_s", "until all HPAs exist, s"),
    ("hpas", "HPAs then"),
];

/// Quiet objects on more than one broker.
const MANY: [(&str, &str); 6] = [
    ("brokers", "brokers"),
    ("rss_mb", "memory, MB"),
    ("cpu_s_per_min", "CPU, s a minute"),
    ("broker_connections", "connections to the brokers"),
    ("kafka_requests_per_s", "Kafka requests a second"),
    ("all_hpas_s", "until all HPAs exist, s"),
];
/// The story.
const STORY: [(&str, &str); 7] = [
    ("highest_replicas", "highest replicas"),
    ("rebalances", "times a consumer was given other partitions"),
    ("over_target_s", "with more than 5 records a consumer, s"),
    ("drained_s", "until no lag was left, s"),
    ("over_s", "until one consumer was left, s"),
    ("consumer_s", "consumer seconds"),
    ("idle_consumer_s", "of these without a partition"),
];

/// Writes the page and its charts into `docs`.
pub fn write(docs: &Path, lines: &[Value]) {
    let (story, lines): (Vec<_>, Vec<_>) = lines.iter().partition(|l| l["story"].is_object());
    let (lines, many): (Vec<_>, Vec<_>) = lines.into_iter().partition(|l| l["brokers"] == 1);
    let mut page = HEAD.to_owned();
    let _ = writeln!(
        page,
        "\nMachine: {}.\n\n![memory, CPU and time until all HPAs exist](compare.svg)",
        machine()
    );
    chart::draw(&lines, &docs.join("compare.svg"));
    page.push_str("\n## The story: 100 records for five partitions\n");
    table(&mut page, &story, "/story", &STORY);
    page.push_str("\n## Objects that nothing happens to\n");
    table(&mut page, &lines, "", &QUIET);
    growth(&mut page, &lines);
    page.push_str("\n## At 1 000 objects\n");
    examined(&mut page, &lines);
    page.push_str("\n### With more brokers\n");
    table(&mut page, &many, "", &MANY);
    page.push_str(HOW);
    fs::write(docs.join("compare.md"), page).expect("docs/compare.md");
}

/// A line of the table for each line of the run, with what is under a JSON pointer in it.
fn table(page: &mut String, lines: &[&Value], under: &str, columns: &[(&str, &str)]) {
    let heads: Vec<&str> = columns.iter().map(|(_, head)| *head).collect();
    let _ = writeln!(page, "\n| | {} |", heads.join(" | "));
    let _ = writeln!(page, "|---|{}", "---:|".repeat(columns.len()));
    for line in lines {
        let found = line.pointer(under).unwrap_or(line);
        let cells: Vec<String> = columns.iter().map(|(key, _)| cell(&found[*key])).collect();
        let _ = writeln!(page, "| {} | {} |", name(line), cells.join(" | "));
    }
}

/// The exponents of lagscale's costs between its largest sizes: 1 is linear, 0 flat.
fn growth(page: &mut String, lines: &[&Value]) {
    let ours = || lines.iter().filter(|l| l["side"] == "lagscale");
    let of = |objects: u64| ours().find(|l| l["objects"] == objects);
    let Some((small, large)) = of(1_000).zip(of(10_000)) else {
        return;
    };
    let exponent = |key: &str| {
        let (small, large) = (small[key].as_f64()?, large[key].as_f64()?);
        (small > 0.0).then(|| format!("{:.2}", (large / small).log10()))
    };
    let costs = [
        ("rss_mb", "memory"),
        ("cpu_s_per_min", "CPU"),
        ("kafka_requests_per_s", "Kafka requests"),
        ("all_hpas_s", "time until all HPAs exist"),
    ];
    let said = costs
        .iter()
        .filter_map(|(key, name)| Some(format!("{name} {}", exponent(key)?)));
    let said: Vec<String> = said.collect();
    let _ = writeln!(
        page,
        "\nFrom 1 000 to 10 000 objects lagscale grows with these powers of their number (1 is linear): {}.",
        said.join(", ")
    );
}

/// A row for each question, a column for each side that was examined.
fn examined(page: &mut String, lines: &[&Value]) {
    let sides: Vec<&Value> = lines
        .iter()
        .copied()
        .filter(|l| l["get_direct"].is_object())
        .collect();
    let names: Vec<String> = sides.iter().map(|line| name(line)).collect();
    let _ = writeln!(page, "\n| | {} |", names.join(" | "));
    let _ = writeln!(page, "|---|{}", "---:|".repeat(sides.len()));
    let rows = [
        ("metric GET direct, median / p99, ms", "/get_direct"),
        ("through kube-apiserver", "/get_through_apiserver"),
        (
            "with the broker frozen, 5 at once",
            "/get_with_frozen_broker",
        ),
        (
            "killed and started again: all readings served after, s",
            "/restart_to_all_readings_s",
        ),
        (
            "memory beside 6 000 other partitions, MB",
            "/beside_other_partitions/rss_mb",
        ),
        (
            "CPU there, s a minute",
            "/beside_other_partitions/cpu_s_per_min",
        ),
    ];
    for (head, pointer) in rows {
        let cells = sides.iter().map(|line| match line.pointer(pointer) {
            Some(Value::Object(series)) => {
                let failed = match series["failed"].as_u64() {
                    Some(0) | None => String::new(),
                    Some(failed) => format!(", {failed} failed"),
                };
                format!(
                    "{} / {}{failed}",
                    cell(&series["p50_ms"]),
                    cell(&series["p99_ms"])
                )
            }
            Some(value) => cell(value),
            None => String::new(),
        });
        let cells: Vec<String> = cells.collect();
        let _ = writeln!(page, "| {head} | {} |", cells.join(" | "));
    }
}

/// A side as its line tells it.
pub fn name(line: &Value) -> String {
    let version = line["version"].as_str().unwrap_or_default();
    match line["kube_api_qps"].as_u64() {
        Some(20) => format!("KEDA {version}"),
        Some(qps) => format!("KEDA {version}, QPS {qps}"),
        None => "lagscale".to_owned(),
    }
}

fn cell(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Some(number) if number.abs() < 1.0 => format!("{number:.3}"),
        Some(number) => format!("{number:.1}"),
        None => "not reached".to_owned(),
    }
}

/// Processor, cores, memory and system of this machine.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let kib = memory.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib = kib.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let day = Command::new("date").arg("+%Y-%m-%d").output();
    let day = day.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    format!(
        "{cores} cores of {model}, {} GB, Linux, {}",
        kib.unwrap_or(0) / 1_000_000,
        day.unwrap_or_default()
    )
}
