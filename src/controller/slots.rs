//! How many token requests are under way at once: in all, and at each host, so that a slow one does not hold up the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One host may take this share of all slots.
const SHARE_OF_A_HOST: usize = 4;
/// Hosts are forgotten beyond this, as far as nothing is under way there.
const MAX_IDLE_HOSTS: usize = 1024;

/// Slots for token requests.
pub struct Slots {
    all: Arc<Semaphore>,
    for_a_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to make one token request; given back when dropped.
pub struct Slot {
    _of_the_host: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Slots {
    /// So many in all.
    pub fn new(number: usize) -> Self {
        let for_a_host = (number / SHARE_OF_A_HOST).max(1);
        Self { all: Arc::new(Semaphore::new(number)), for_a_host, hosts: Mutex::default() }
    }

    /// Waits for a slot; `None` when there will be none any more.
    pub async fn take(&self, host: &str) -> Option<Slot> {
        // The host's first: who waits for a slow host must hold nothing that others need.
        let of_the_host = self.of(host).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Slot { _of_the_host: of_the_host, _of_all: of_all })
    }

    fn of(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() > MAX_IDLE_HOSTS {
            hosts.retain(|_, slots| Arc::strong_count(slots) > 1);
        }
        let slots = hosts
            .entry(host.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(self.for_a_host)));
        Arc::clone(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_slow_host_leaves_slots_to_others() {
        let slots = Slots::new(8);
        let held: Vec<_> =
            (0..2).map(|_| slots.take("slow").now_or_never().flatten().unwrap()).collect();
        assert!(slots.take("slow").now_or_never().is_none());
        assert!(slots.take("quick").now_or_never().flatten().is_some());
        drop(held);
        assert!(slots.take("slow").now_or_never().flatten().is_some());
    }
}
