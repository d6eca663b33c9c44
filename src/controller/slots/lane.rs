//! Who waits in one namespace for one host, and whether the next of them may begin.

use std::collections::VecDeque;
use std::time::Duration;

use crate::lifecycle::breaker::{Admission, Breaker};
use crate::lifecycle::rate::Rate;

use super::host::Room;
use super::place::Place;
use super::shares::Shares;

/// Those of one namespace at one host.
pub(super) struct Lane<T> {
    /// They go first.
    pub(super) in_a_hurry: VecDeque<T>,
    pub(super) waiting: VecDeque<T>,
    /// How many of them, at the front, go before the usual ones.
    pressed: usize,
    pub(super) under_way: usize,
    pub(super) exchanges: usize,
    pub(super) stands: Stands,
    pub(super) breaker: Breaker,
    pub(super) rate: Rate,
}

/// Where a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// Nobody waits in it.
    Nowhere,
    /// Among the ready ones of its namespace.
    Ready,
    /// At its host, which takes no more now.
    AtHost,
    /// Until one of its own ends, or a time comes.
    Still,
}

/// Why a lane may not go on.
pub(super) enum Not {
    /// The host takes no more now; and, where that is known, before this.
    AtHost(Option<Duration>),
    Still,
    Before(Duration),
}

/// How a request begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    InTurn,
    InAHurry,
    /// The same, in room beyond the shares.
    Beyond,
}

impl<T> Lane<T> {
    pub(super) fn new(place: &Place, now: Duration) -> Self {
        Self {
            in_a_hurry: VecDeque::new(),
            waiting: VecDeque::new(),
            pressed: 0,
            under_way: 0,
            exchanges: 0,
            stands: Stands::Nowhere,
            breaker: Breaker::new(place.fraction(), now),
            rate: Rate::default(),
        }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.in_a_hurry.is_empty() && self.waiting.is_empty()
    }

    /// One who goes before the usual ones, and after those who do so already.
    pub(super) fn enter_first(&mut self, waiter: T) {
        self.waiting.insert(self.pressed, waiter);
        self.pressed = self.pressed.saturating_add(1);
    }

    /// Takes out the next one.
    pub(super) fn next(&mut self) -> Option<(T, How)> {
        if let Some(waiter) = self.in_a_hurry.pop_front() {
            return Some((waiter, How::InAHurry));
        }
        self.pressed = self.pressed.saturating_sub(1);
        Some((self.waiting.pop_front()?, How::InTurn))
    }

    /// Whether the next one may begin.
    pub(super) fn may_begin(&self, shares: Shares, host: Room, now: Duration) -> Result<(), Not> {
        let is_full = self.under_way >= shares.of_a_lane || self.exchanges >= shares.exchanges;
        let free_at = self.rate.free_at();
        // Neither a limit nor a breaker may hold those in a hurry; their requests count for both all the same.
        let is_urgent = !self.in_a_hurry.is_empty();
        match self.breaker.admits(self.under_way, now) {
            _ if is_full => Err(Not::Still),
            _ if is_urgent && host.is_full => Err(Not::AtHost(None)),
            _ if is_urgent => Ok(()),
            Admission::AfterAnother => Err(Not::Still),
            Admission::NotBefore(time) => Err(Not::Before(time.max(free_at))),
            Admission::Now if free_at > now => Err(Not::Before(free_at)),
            Admission::Now if host.is_full => Err(Not::AtHost(None)),
            Admission::Now => match host.admits {
                Admission::Now => Ok(()),
                Admission::NotBefore(time) => Err(Not::AtHost(Some(time))),
                Admission::AfterAnother => Err(Not::AtHost(None)),
            },
        }
    }

    /// Whether nothing is lost with it.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        self.exchanges == 0
            && self.under_way == 0
            && self.stands == Stands::Nowhere
            && self.breaker.is_idle(now)
            && self.rate.is_idle()
    }
}
