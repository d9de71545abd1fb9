//! The slow consumer of the story: a true member of its group that works ten seconds on a record and commits after each.

#[path = "../common/mod.rs"]
mod common;
mod member;
mod work;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use common::{Failure, KafkaArgs};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Clone, Debug, Parser)]
struct Args {
    /// The consumer group.
    #[arg(long, env = "KAFKA_GROUP", default_value = "test-consumer-group")]
    group: String,
    /// Milliseconds of work on a record.
    #[arg(long, default_value = "10000")]
    work_ms: u64,
    /// Where to begin a partition that has no committed offset.
    #[arg(long, value_enum, default_value = "latest")]
    from: From,
    /// Milliseconds between heartbeats; a member may beat faster than its broker says.
    #[arg(long, default_value = "1000")]
    heartbeat_ms: u64,
    #[command(flatten)]
    kafka: KafkaArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Earliest,
    Latest,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut beat = tokio::time::interval(Duration::from_millis(args.heartbeat_ms));
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let records = args.kafka.client().await?;
    let (mut member, mut progress) = member::Member::new(args, records);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            Some(done) = progress.recv() => {
                member.progressed(done);
                member.commit().await;
            }
            _ = beat.tick() => {
                if let Err(error) = member.beat().await {
                    eprintln!("{error}");
                    member.forget_coordinator();
                }
            }
        }
    }
    member.leave(&mut progress).await;
    println!("left");
    Ok(())
}
