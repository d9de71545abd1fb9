//! Room for large answers: what the brokers of one cluster may make us hold at once.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Answers up to this size are read without asking for room.
const SMALL: usize = 64 << 10;

/// Room for the large answers of one cluster that are read at once: however many brokers it claims to have, it can't make us
/// hold more than some 64 MiB of them.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1024)))
    }
}

impl Room {
    /// Waits for room for so many bytes; `None` for a small answer.
    pub(super) async fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let parts = u32::try_from(bytes.div_ceil(SMALL)).ok()?;
        // Never closed.
        if parts > 1 {
            self.0.acquire_many(parts).await.ok()
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::kafka::connection::MAX_FRAME;

    #[test]
    fn large_answers_of_a_cluster_wait_for_room_and_small_ones_do_not() {
        let room = Room::default();
        let shared = room.clone();
        let taken: Vec<_> = (0..8)
            .map(|_| room.take(MAX_FRAME).now_or_never())
            .collect();
        assert!(taken.iter().all(|t| matches!(t, Some(Some(_)))));
        assert!(shared.take(SMALL + 1).now_or_never().is_none());
        assert!(matches!(shared.take(SMALL).now_or_never(), Some(None)));
        drop(taken);
        assert!(matches!(
            shared.take(SMALL + 1).now_or_never(),
            Some(Some(_))
        ));
    }
}
