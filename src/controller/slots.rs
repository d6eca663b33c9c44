//! How many token requests are under way at once: in all, and at each host, so that a slow one does not hold up the
//! others; and how many exchanges of each namespace there, so that commits that are refused there hold up nobody elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One host may take this share of all slots.
const SHARE_OF_A_HOST: usize = 4;
/// Exchanges under way in one namespace at one host, those that wait for a commit included.
const FOR_A_NAMESPACE: usize = 64;
/// Names are forgotten beyond this, as far as nothing is under way there.
const MAX_IDLE: usize = 1024;

/// Slots for token requests.
pub struct Slots {
    all: Arc<Semaphore>,
    hosts: Shares,
    namespaces_at_hosts: Shares,
}

/// So many for each name.
struct Shares {
    each: usize,
    by_name: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to make one exchange; given back when dropped.
pub struct Slot {
    _of_the_namespace: OwnedSemaphorePermit,
    request: Option<[OwnedSemaphorePermit; 2]>,
}

impl Slot {
    /// Gives back what was held for the request, once its answer is there.
    pub fn answered(&mut self) {
        self.request = None;
    }
}

impl Slots {
    /// So many in all.
    pub fn new(number: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(number)),
            hosts: Shares::new((number / SHARE_OF_A_HOST).max(1)),
            namespaces_at_hosts: Shares::new(FOR_A_NAMESPACE),
        }
    }

    /// Waits for a slot; `None` when there will be none any more.
    pub async fn take(&self, namespace: &str, host: &str) -> Option<Slot> {
        // For each host of its own, so that those of a quick host don't wait behind those of a slow one.
        let share = self.namespaces_at_hosts.of(&format!("{namespace}/{host}"));
        let of_the_namespace = share.acquire_owned().await.ok()?;
        // The host's first: who waits for a slow host must hold nothing that others need.
        let of_the_host = self.hosts.of(host).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        let request = Some([of_the_host, of_all]);
        Some(Slot { _of_the_namespace: of_the_namespace, request })
    }
}

impl Shares {
    fn new(each: usize) -> Self {
        Self { each, by_name: Mutex::default() }
    }

    fn of(&self, name: &str) -> Arc<Semaphore> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if by_name.len() > MAX_IDLE {
            by_name.retain(|_, slots| Arc::strong_count(slots) > 1);
        }
        let slots =
            by_name.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Arc::clone(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn take(slots: &Slots, namespace: &str, host: &str) -> Option<Slot> {
        slots.take(namespace, host).now_or_never().flatten()
    }

    #[test]
    fn a_slow_host_leaves_slots_to_others() {
        let slots = Slots::new(8);
        let held: Vec<_> = (0..2).map(|_| take(&slots, "n", "slow").unwrap()).collect();
        assert!(take(&slots, "n", "slow").is_none());
        assert!(take(&slots, "n", "quick").is_some());
        drop(held);
        assert!(take(&slots, "n", "slow").is_some());
    }

    #[test]
    fn an_answer_that_waits_for_its_commit_leaves_the_host_to_others() {
        let slots = Slots::new(4);
        let waiting: Vec<_> = (0..FOR_A_NAMESPACE)
            .map(|_| {
                let mut slot = take(&slots, "n", "h").unwrap();
                slot.answered();
                slot
            })
            .collect();
        assert!(take(&slots, "n", "h").is_none(), "its namespace has its share");
        assert!(take(&slots, "other", "h").is_some());
        drop(waiting);
        assert!(take(&slots, "n", "h").is_some());
    }
}
