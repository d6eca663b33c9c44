//! Tells those that wait that they are held back: little by little, since each of them writes its status then, and first
//! those whose token ends first. Who has its turn before that, or whose host is back, is told nothing.

use crate::controller::pace::in_steps;
use crate::lifecycle::breaker::Held;

use super::{Shared, Slots, Waiter};

impl Slots {
    /// Tells whoever is to be told; for ever.
    pub(super) async fn tell_in_time(&self) {
        loop {
            self.shared.held_back.notified().await;
            in_steps(|most| self.shared.tell(most)).await;
        }
    }
}

impl Shared {
    /// Tells so many of those that are held back and don't know it yet. Whether there are more.
    fn tell(&self, most: usize) -> bool {
        let mut queue = self.lock();
        let mut first: Vec<(Held, &mut Waiter)> = Vec::new();
        let mut are_left = false;
        for (held, waiter) in queue.held_back().filter(|(_, waiter)| waiter.is_to_be_told()) {
            let at = first.partition_point(|(_, other)| other.expires_at <= waiter.expires_at);
            first.insert(at, (held, waiter));
            if first.len() > most {
                first.pop();
                are_left = true;
            }
        }
        for (held, waiter) in first {
            waiter.tell(held);
        }
        are_left
    }
}

impl Waiter {
    /// Whether it waits still, and was not told.
    fn is_to_be_told(&self) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_closed())
    }

    fn tell(&mut self, held: Held) {
        if let Some(tell) = self.held.take() {
            // Who waits no longer need not know.
            let _ = tell.send(held);
        }
    }
}
