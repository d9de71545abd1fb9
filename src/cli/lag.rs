//! `lagscale lag`: what a group has yet to do, from a terminal.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::{
    Done, Output,
    brokers::{Asked, Brokers, ClusterArgs, EVERY, Look},
    output::table,
};
use crate::{lag::sum, triggers::Kafka};

/// Flags of `lag`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: everything was read. 1: something was not, and is named. 2: the arguments are wrong."
)]
pub struct LagArgs {
    /// The way to the brokers.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// A consumer group; several with several flags.
    #[arg(long, required = true)]
    pub group: Vec<String>,
    /// A topic; without one, every topic that the group has committed.
    #[arg(long)]
    pub topic: Vec<String>,
    /// The isolation level of its consumers: read_uncommitted or read_committed.
    #[arg(long, value_parser = ["read_uncommitted", "read_committed"])]
    pub isolation_level: Option<String>,
    /// Where a partition without a commit counts from: latest or earliest.
    #[arg(long, value_parser = ["latest", "earliest"])]
    pub offset_reset_policy: Option<String>,
    /// Again and again, until it is interrupted.
    #[arg(long)]
    pub watch: bool,
    /// Table, wide (with log start offsets and troubles), JSON or YAML.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    #[serde(rename = "group")]
    id: &'a str,
    /// In records; of what could be read.
    lag: i64,
    /// Whether that is all of it.
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    partitions: Vec<Partition<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partition<'a> {
    topic: &'a str,
    #[serde(rename = "partition")]
    id: i32,
    committed_offset: Option<i64>,
    log_start_offset: Option<i64>,
    log_end_offset: Option<i64>,
    lag: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

/// Runs it.
pub async fn lag(args: &LagArgs) -> Done {
    let brokers = Brokers::new(
        &args.cluster,
        &Asked {
            groups: args.group.clone(),
            topics: args.topic.clone(),
            isolation_level: args.isolation_level.clone(),
            policy: args.offset_reset_policy.clone(),
        },
    )?;
    if !args.watch {
        let look = brokers.look().await;
        let groups = groups(&brokers, &look);
        super::say(&written(&groups, args.output)?)?;
        return Ok(groups.iter().all(|g| g.complete));
    }
    let mut looks = brokers.watch();
    let mut last = None;
    loop {
        let look = looks.next(&brokers.triggers).await;
        let said = written(&groups(&brokers, &look), args.output)?;
        if last.as_ref() != Some(&said) {
            let now = jiff::Zoned::now();
            super::say(&format!(
                "{}\n{said}\n",
                now.strftime("%Y-%m-%d %H:%M:%S%:z")
            ))?;
        }
        last = Some(said);
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(true),
        }
    }
}

fn groups<'a>(brokers: &'a Brokers, look: &'a Look) -> Vec<Group<'a>> {
    brokers
        .triggers
        .iter()
        .map(|kafka| group(kafka, look))
        .collect()
}

fn group<'a>(kafka: &'a Kafka, look: &'a Look) -> Group<'a> {
    let readout = look.of(kafka);
    let found = look.snapshot.groups.get(&kafka.group);
    let topics = found.iter().flat_map(|found| &found.topics);
    let topics = topics.filter(|(name, _)| kafka.topics.mean(name));
    let mut partitions = Vec::new();
    for (topic, slots) in topics {
        for (id, slot) in slots {
            let track = slot.track.as_ref();
            partitions.push(Partition {
                topic,
                id: *id,
                committed_offset: track.and_then(|t| t.committed),
                log_start_offset: track.and_then(|t| t.start),
                log_end_offset: track.map(|t| t.end),
                lag: track.map(|t| sum([t], kafka.counting(), look.now).lag),
                trouble: slot.trouble.as_ref().map(|t| t.text.to_string()),
            });
        }
    }
    let unread = (!readout.complete).then(|| "no answer in time".to_owned());
    let trouble = readout.trouble.map(|t| t.text.to_string()).or(unread);
    Group {
        id: &kafka.group,
        lag: readout.sum.lag,
        complete: readout.complete,
        trouble,
        notice: readout.notice,
        partitions,
    }
}

fn written(groups: &[Group<'_>], output: Output) -> Result<String, String> {
    if let Some(data) = output.data(groups) {
        return data;
    }
    let mut head = vec![
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
    ];
    let wide = output == Output::Wide;
    if wide {
        head.extend(["LOG-START-OFFSET", "TROUBLE"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    let number = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for group in groups {
        rows.extend(group.partitions.iter().map(|p| {
            let mut row = vec![
                group.id.to_owned(),
                p.topic.to_owned(),
                p.id.to_string(),
                number(p.committed_offset),
                number(p.log_end_offset),
                number(p.lag),
            ];
            if wide {
                let trouble = p.trouble.clone().unwrap_or_default();
                row.extend([number(p.log_start_offset), trouble.replace('\n', " ")]);
            }
            row
        }));
    }
    let mut text = table(&rows);
    for group in groups {
        let whole = if group.complete { "" } else { " at least" };
        let _ = writeln!(
            text,
            "{}: lag{whole} {} in {} partitions",
            group.id,
            group.lag,
            group.partitions.len()
        );
        for said in group.trouble.iter().chain(&group.notice) {
            let _ = writeln!(text, "  {said}");
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_table_has_log_starts_and_troubles_and_no_line_is_broken_by_them() {
        let partition = |id, committed_offset, trouble: Option<&str>| Partition {
            topic: "orders",
            id,
            committed_offset,
            log_start_offset: Some(3),
            log_end_offset: Some(10),
            lag: committed_offset.map(|committed| 10 - committed),
            trouble: trouble.map(str::to_owned),
        };
        let group = Group {
            id: "billing",
            lag: 6,
            complete: false,
            trouble: None,
            notice: None,
            partitions: vec![
                partition(0, Some(4), None),
                partition(1, None, Some("no leader\nat the moment")),
            ],
        };
        let groups = [group];
        let wide = "\
GROUP    TOPIC   PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  LOG-START-OFFSET  TROUBLE
billing  orders  0          4               10              6    3
billing  orders  1          -               10              -    3                 no leader at the moment
billing: lag at least 6 in 2 partitions
";
        assert_eq!(written(&groups, Output::Wide).as_deref(), Ok(wide));
        let table = written(&groups, Output::Table).unwrap();
        assert!(!table.contains("LOG-START-OFFSET") && !table.contains("no leader"));
    }
}
