//! The things that triggers name outside of themselves: read when named, read again when a watch or the clock says that it changed,
//! forgotten when nobody names it any more. Memory follows what is named, never what the cluster holds.

mod fetch;
mod file;
mod kinds;
mod news;
mod reference;
mod room;
#[cfg(test)]
mod tests;
mod tokens;
mod values;
mod watching;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use tokio::sync::{Semaphore, mpsc};

use crate::backoff::doubled;
use fetch::{Fetch, fetch};
pub(super) use news::News;
pub use reference::CredentialRules;
pub(super) use reference::{Content, Found, Reference, Workload};
use room::Room;
pub use tokens::TokenPolicy;
pub(super) use values::Values;
use watching::Watching;

/// A failed read is tried again after this long, then less and less often.
const RETRY: Duration = Duration::from_secs(2);
/// A kind that is installed meanwhile is found within half a minute.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Reads under way at once: after a start each object may name something else, and each may be of a megabyte.
const AT_ONCE: usize = 8;

/// The state of a reference that somebody names.
#[derive(Default)]
struct Followed {
    /// With its version.
    content: Option<(String, Content)>,
    /// Bytes that it counts with.
    size: usize,
    missing: bool,
    /// Why the last read failed.
    failure: Option<String>,
    /// How many reads failed in a row.
    failures: u32,
    fetching: bool,
    /// A change was seen while a read was under way.
    stale: bool,
    /// When it is read again without anybody saying that it changed.
    again: Option<Instant>,
}

/// Begins reads.
struct Fetcher {
    client: Client,
    rules: Arc<CredentialRules>,
    permits: Arc<Semaphore>,
    news: mpsc::UnboundedSender<News>,
}

/// The cache.
pub(super) struct Credentials {
    fetcher: Fetcher,
    followed: BTreeMap<Reference, Followed>,
    room: Room,
    watching: Watching,
}

impl Credentials {
    pub(super) fn new(
        client: Client,
        rules: CredentialRules,
        news: mpsc::UnboundedSender<News>,
    ) -> Self {
        let rules = Arc::new(rules);
        Self {
            room: Room::new(rules.cluster_namespace.clone()),
            watching: Watching::new(client.clone(), rules.clone(), news.clone()),
            fetcher: Fetcher {
                client,
                rules,
                permits: Arc::new(Semaphore::new(AT_ONCE)),
                news,
            },
            followed: BTreeMap::new(),
        }
    }

    pub(super) fn rules(&self) -> &CredentialRules {
        &self.fetcher.rules
    }

    /// Follows exactly what is named.
    pub(super) fn follow(&mut self, named: BTreeSet<Reference>) {
        let room = &mut self.room;
        self.followed.retain(|reference, known| {
            let kept = named.contains(reference);
            if !kept {
                let namespace = reference.namespace().unwrap_or_default();
                room.take(namespace, &mut known.size, None);
            }
            kept
        });
        let new: Vec<_> = named
            .iter()
            .filter(|r| !self.followed.contains_key(r))
            .cloned()
            .collect();
        // Watched first: what changes after the read is then seen.
        self.watching.watch(named);
        for reference in new {
            let mut known = Followed::default();
            self.fetcher.begin(&reference, &mut known);
            self.followed.insert(reference, known);
        }
    }

    /// Reads again what is due: failed reads, expiring tokens, and what can't be watched.
    pub(super) fn refresh(&mut self) {
        let now = Instant::now();
        for (reference, known) in &mut self.followed {
            if known.again.is_some_and(|at| at <= now) {
                self.fetcher.begin(reference, known);
            }
        }
    }

    /// Takes news; returns what may resolve to something else now.
    pub(super) fn take(&mut self, news: News) -> Option<Reference> {
        match news {
            News::Seen(reference, version) => {
                let known = self.followed.get_mut(&reference)?;
                let of = known.content.as_ref().map(|(version, _)| version);
                if version.is_some() && version.as_ref() == of {
                    return None;
                }
                // The content of a deleted Secret is not used any more.
                let gone = version.is_none() && known.content.take().is_some();
                known.missing |= gone;
                known.counted(&reference, &mut self.room);
                self.fetcher.begin(&reference, known);
                gone.then_some(reference)
            }
            News::Fetched(reference, result) => {
                let known = self.followed.get_mut(&reference)?;
                known.fetching = false;
                let result = result.and_then(|fetch| known.fitting(&reference, fetch, &self.room));
                if let Err(error) = &result
                    && known.failure.as_ref() != Some(error)
                {
                    tracing::warn!(error, "reading {reference}");
                }
                let changed = known.settle(result);
                known.counted(&reference, &mut self.room);
                if std::mem::take(&mut known.stale) {
                    self.fetcher.begin(&reference, known);
                }
                changed.then_some(reference)
            }
        }
    }

    /// The state of a reference. Content that was read once stands while it can't be read again.
    pub(super) fn find(&self, reference: &Reference) -> Found<'_> {
        match self.followed.get(reference) {
            Some(Followed {
                content: Some((_, content)),
                ..
            }) => Found::Here(content),
            Some(Followed {
                failure: Some(failure),
                ..
            }) => Found::Failed(failure),
            Some(known) if known.missing => Found::Missing,
            _ => Found::Waiting,
        }
    }
}

impl Fetcher {
    fn begin(&self, reference: &Reference, known: &mut Followed) {
        known.again = None;
        if std::mem::replace(&mut known.fetching, true) {
            known.stale = true;
            return;
        }
        let (client, rules) = (self.client.clone(), self.rules.clone());
        let (permits, news) = (self.permits.clone(), self.news.clone());
        let reference = reference.clone();
        let version = known.content.as_ref().map(|(version, _)| version.clone());
        tokio::spawn(async move {
            // Never closed.
            let _permit = permits.acquire().await;
            let result = fetch(&client, &rules, &reference, version.as_deref()).await;
            // The engine is gone when nobody listens.
            let _ = news.send(News::Fetched(reference, result));
        });
    }
}

impl Followed {
    /// The content that was read, or an error where there is no room for it.
    fn fitting(&self, reference: &Reference, fetch: Fetch, room: &Room) -> Result<Fetch, String> {
        let namespace = reference.namespace().unwrap_or_default();
        let refused = match &fetch {
            Fetch::Brought { content, .. } => room.refuses(namespace, self.size, content),
            Fetch::Same { .. } | Fetch::Missing { .. } => None,
        };
        refused.map_or(Ok(fetch), Err)
    }

    fn counted(&mut self, reference: &Reference, room: &mut Room) {
        let content = self.content.as_ref().map(|(_, content)| content);
        room.take(
            reference.namespace().unwrap_or_default(),
            &mut self.size,
            content,
        );
    }

    /// Takes what a read brought; whether it changes anything.
    fn settle(&mut self, result: Result<Fetch, String>) -> bool {
        let (failed, was_missing) = (self.failure.take(), self.missing);
        let after = |span: Duration| Some(Instant::now() + span);
        self.failures = match &result {
            Err(_) => self.failures.saturating_add(1),
            Ok(_) => 0,
        };
        match result {
            Err(error) => {
                let tries = self.failures.saturating_sub(1);
                self.again = after(doubled(RETRY, tries, LONGEST_RETRY));
                let changed = self.content.is_none() && failed.as_ref() != Some(&error);
                self.failure = Some(error);
                changed
            }
            Ok(Fetch::Same { again }) => {
                self.again = after(again);
                false
            }
            Ok(Fetch::Missing { again }) => {
                self.again = again.and_then(after);
                self.missing = true;
                self.content.take().is_some() || !was_missing || failed.is_some()
            }
            Ok(Fetch::Brought {
                version,
                content,
                again,
            }) => {
                self.again = again.and_then(after);
                self.missing = false;
                let same = self.content.as_ref().is_some_and(|(v, _)| *v == version);
                self.content = Some((version, content));
                !same
            }
        }
    }
}
