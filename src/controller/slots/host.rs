//! What is under way at one host, and whose lanes wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::breaker::{Admission, HostBreaker};

use super::place::fraction;

/// One host.
pub(super) struct Host {
    pub(super) under_way: usize,
    /// Namespaces whose lanes wait until there is room, or until it is called again.
    pub(super) waiting: VecDeque<Arc<str>>,
    pub(super) breaker: HostBreaker<Arc<str>>,
}

/// What it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Whether its share of all slots is taken.
    pub(super) is_full: bool,
    /// Whether it is called, and by how many at once.
    pub(super) admits: Admission,
}

impl Host {
    pub(super) fn new(name: &str, now: Duration) -> Self {
        let breaker = HostBreaker::new(fraction(name.bytes()), now);
        Self { under_way: 0, waiting: VecDeque::new(), breaker }
    }

    /// What it takes of that share.
    pub(super) fn room(&self, share: usize, now: Duration) -> Room {
        let admits = self.breaker.admits(self.under_way, now);
        Room { is_full: self.under_way >= share, admits }
    }

    /// Takes a namespace out of those that wait.
    pub(super) fn forget(&mut self, namespace: &Arc<str>) {
        self.waiting.retain(|waiting| waiting != namespace);
    }

    /// Whether nothing is lost with it.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.under_way == 0 && self.waiting.is_empty() && self.breaker.is_idle(now)
    }
}
