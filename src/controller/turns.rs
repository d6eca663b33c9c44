//! So much at once, and no more than half of that for one namespace, so that what is slow there does not hold up the
//! others. For calls beside token requests: probes, and documents of issuers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Namespaces are forgotten beyond this, as far as nobody of them waits.
const MAX_IDLE: usize = 64;

/// Turns.
pub struct Turns {
    all: Arc<Semaphore>,
    of_one: usize,
    namespaces: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// One turn; over when dropped.
pub struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_its_namespace: OwnedSemaphorePermit,
}

impl Turns {
    /// So many at once.
    pub fn new(all: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all.max(1))),
            of_one: (all / 2).max(1),
            namespaces: Mutex::default(),
        }
    }

    /// Waits for a turn of a namespace; nothing when there will be none any more.
    pub async fn wait(&self, namespace: &str) -> Option<Turn> {
        // Who waits here stands not yet in the line of all, which is short for that.
        let of_its_namespace = self.namespace(namespace).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn { _of_all: of_all, _of_its_namespace: of_its_namespace })
    }

    fn namespace(&self, name: &str) -> Arc<Semaphore> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = namespaces.get(name).and_then(Weak::upgrade) {
            return known;
        }
        if namespaces.len() >= MAX_IDLE {
            namespaces.retain(|_, namespace| namespace.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(self.of_one));
        namespaces.insert(name.to_owned(), Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    /// A turn that is there at once.
    fn take(turns: &Turns, namespace: &str) -> Option<Turn> {
        unconstrained(turns.wait(namespace)).now_or_never().flatten()
    }

    #[tokio::test]
    async fn a_namespace_takes_half_and_leaves_the_rest_to_others() {
        let turns = Turns::new(4);
        let take = |namespace| take(&turns, namespace);
        let noisy = [take("noisy").unwrap(), take("noisy").unwrap()];
        assert!(take("noisy").is_none());
        let others = [take("a").unwrap(), take("b").unwrap()];
        assert!(take("c").is_none(), "four at once");
        drop(others);
        assert!(take("noisy").is_none() && take("c").is_some());
        drop(noisy);
        assert!(take("noisy").is_some());
    }

    #[tokio::test]
    async fn many_that_wait_in_one_namespace_are_not_before_those_of_another() {
        let turns = Turns::new(2);
        let first = turns.wait("noisy").await.unwrap();
        let mut flood: Vec<_> = (0..1000).map(|_| Box::pin(turns.wait("noisy"))).collect();
        assert!(flood.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        assert!(take(&turns, "quiet").is_some());
        drop((flood, first));
        for number in 0..1000 {
            assert!(take(&turns, &number.to_string()).is_some());
        }
        assert!(turns.namespaces.lock().unwrap().len() <= MAX_IDLE, "none is kept that is idle");
    }
}
