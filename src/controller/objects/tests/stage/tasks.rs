//! Tasks, done by the code that does them on a real cluster.

use std::time::Duration;

use super::Stage;
use crate::controller::{
    leadership::Lead,
    objects::{Change, Task},
    write::{EventRecorder, Places, Writers, apply, end, is_gone, release, write_status},
};

impl Stage {
    pub(super) fn carry_out(&mut self, task: Task) -> Option<Change> {
        let client = self.client.clone();
        let lead = Lead::until(self.lead.subscribe());
        match task {
            Task::Poll(order) => {
                self.poll(*order);
                None
            }
            Task::Follow(named) => {
                self.followed = named;
                None
            }
            Task::Record(_, event) => {
                self.state(|s| {
                    s.events.push(event.reason.to_owned());
                    s.notes.push(event.note.clone());
                });
                None
            }
            Task::RecordIfGone(object, event) => {
                let gone = self.runtime.block_on(is_gone(client, &object));
                gone.then(|| self.carry_out(Task::Record(object, event)))?
            }
            Task::Work(key, work) => {
                let work = apply(self.writers(), key, work);
                // After a start one for each object may wait for its place.
                assert!(size_of_val(&work) <= 1_024, "{} bytes", size_of_val(&work));
                self.run(async { Change::Worked(work.await.into()) })
            }
            Task::WriteStatus(write) => {
                let write = write_status(self.writers(), write);
                self.run(async { Change::StatusWritten(write.await) })
            }
            Task::End(object) => {
                let end = end((client, lead), object);
                self.run(async { Change::Released(end.await) })
            }
            Task::Release(held) => {
                let release = release(kube::Api::namespaced(client, "shop"), held, lead);
                self.run(async { Change::Released(release.await) })
            }
            Task::ReleaseCluster(held) => {
                let release = release(kube::Api::all(client), held, lead);
                self.run(async { Change::Released(release.await) })
            }
        }
    }

    fn writers(&self) -> Writers {
        Writers {
            events: EventRecorder::new(self.client.clone()),
            places: Places::default(),
            client: self.client.clone(),
            lead: Lead::until(self.lead.subscribe()),
            counts: self.counts.clone(),
        }
    }

    /// The result of `work`, unless the process is killed meanwhile. Waiting takes no time.
    fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let dead = async {
            while !self.is_dead() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        self.runtime.block_on(async {
            let done = tokio::select! {
                done = work => Some(done),
                () = dead => None,
            };
            // Events are recorded by tasks that nobody waits for.
            for _ in 0..32 {
                tokio::task::yield_now().await;
            }
            done
        })
    }
}
