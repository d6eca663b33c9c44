//! Turns for token requests: how many are under way at once, in all, at each host and of each namespace, and who is next.
//! A slow host does not hold up the others, and what waits in one namespace does not hold up another. Where requests fail
//! in a row they are held back, and where the user gave a limit it is kept.

mod beyond;
mod host;
mod lane;
mod place;
mod queue;
mod shares;
mod slow;
mod tell;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

use crate::clock::since_boot;
use crate::lifecycle::breaker::{Held, Outcome, Trouble};
use crate::lifecycle::rate::RateLimit;
use crate::oauth::error::{Side, TokenError};
use crate::oauth::response::{Ending, RawResponse};

use self::place::Place;
use self::queue::{Opened, Queue, Ticket};
use self::shares::Shares;

/// One host may take this share of all slots.
const SHARE_OF_A_HOST: usize = 4;
/// One namespace leaves this share of all slots to the others, so that they need not wait for its requests to end.
const LEFT_BY_A_NAMESPACE: usize = 4;
/// And this share of those at a host.
const LEFT_AT_A_HOST: usize = 8;
/// Exchanges under way in one namespace at one host, those that wait for a commit included.
const FOR_A_LANE: usize = 64;

/// Slots for token requests.
#[derive(Clone)]
pub struct Slots {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue<Waiter>>,
    /// Told when a time to look again may have become another one.
    changed: Notify,
    /// Told when somebody is held back who does not know it.
    held_back: Notify,
    clock: fn() -> Duration,
}

/// How pressing a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// It waits for its turn.
    Usual,
    /// It goes before the usual ones of its namespace at that host.
    First,
    /// What it repeats is lost when it waits: neither a limit holds it, nor that others failed, nor full shares.
    Now,
}

/// Who waits.
struct Waiter {
    turn: oneshot::Sender<Slot>,
    /// Nothing once it is told.
    held: Option<oneshot::Sender<Held>>,
    /// When its token ends; nothing when it has none.
    expires_at: Option<Timestamp>,
}

/// A turn that is waited for.
pub struct Turn {
    turn: oneshot::Receiver<Slot>,
    held: Option<oneshot::Receiver<Held>>,
}

/// The right to make one exchange; given back when dropped.
pub struct Slot {
    shared: Arc<Shared>,
    /// Nothing once the slot is given back.
    ticket: Option<Ticket>,
    is_answered: bool,
    outcome: Outcome,
    /// How long the server took.
    took: Duration,
}

impl Slots {
    /// So many in all.
    pub fn new(number: usize) -> Self {
        Self::with_clock(number, since_boot)
    }

    fn with_clock(number: usize, clock: fn() -> Duration) -> Self {
        let of_a_host = (number / SHARE_OF_A_HOST).max(1);
        let without = |all: usize, left: usize| {
            all.saturating_sub(all.checked_div(left).unwrap_or_default()).max(1)
        };
        let shares = Shares {
            all: number,
            of_a_namespace: without(number, LEFT_BY_A_NAMESPACE),
            of_a_host,
            of_a_lane: without(of_a_host, LEFT_AT_A_HOST),
            exchanges: FOR_A_LANE,
        };
        let queue = Mutex::new(Queue::new(shares));
        let (changed, held_back) = (Notify::new(), Notify::new());
        Self { shared: Arc::new(Shared { queue, changed, held_back, clock }) }
    }

    /// Stands in line for a slot. Of those that are held back the first are told whose token ends first.
    pub fn wait(
        &self,
        namespace: &str,
        host: &str,
        press: Press,
        expires_at: Option<Timestamp>,
    ) -> Turn {
        let (turn, waiting) = oneshot::channel();
        let (tell, held) = oneshot::channel();
        let place = Place::new(namespace, host);
        let waiter = Waiter { turn, held: Some(tell), expires_at };
        let mut queue = self.shared.lock();
        if press != Press::Now && queue.held(&place).is_some() {
            self.shared.held_back.notify_one();
        }
        queue.enter(&place, press, waiter, self.shared.now());
        drop(queue);
        self.shared.hand_out();
        Turn { turn: waiting, held: Some(held) }
    }

    /// Notes the limit that a credential gives for a host, or that it gives none.
    pub fn limit(&self, giver: &str, namespace: &str, given: Option<(&str, RateLimit)>) {
        let given = given.map(|(host, limit)| (Place::new(namespace, host), limit));
        self.note_limit(giver, given.as_ref().map(|(place, limit)| (place, *limit)));
    }

    /// Forgets a credential that is gone.
    pub fn forget(&self, giver: &str) {
        self.note_limit(giver, None);
    }

    fn note_limit(&self, giver: &str, given: Option<(&Place, RateLimit)>) {
        let is_news = self.shared.lock().limit(giver, given, self.shared.now());
        if is_news {
            self.shared.hand_out();
        }
    }

    /// Does what is to be done by time alone; for ever.
    pub async fn keep_time(&self) {
        tokio::join!(self.hand_out_in_time(), self.tell_in_time());
    }

    /// Hands out what becomes free.
    async fn hand_out_in_time(&self) {
        loop {
            let changed = self.shared.changed.notified();
            self.shared.hand_out_all();
            let wake_at = self.shared.lock().wake_at();
            let wait = wake_at.map(|time| time.saturating_sub(self.shared.now()));
            // Clocks differ: this one may stand still while a machine sleeps.
            let look_again = tokio::time::sleep(wait.unwrap_or(Duration::MAX).min(LOOK_AGAIN));
            tokio::select! {
                () = changed => {}
                () = look_again => {}
            }
        }
    }
}

/// Times are looked at this often, whatever the timer says.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue<Waiter>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        (self.clock)()
    }

    fn hand_out(self: &Arc<Self>) {
        self.hand_out_all();
        self.changed.notify_one();
    }

    /// Hands out all slots that are free.
    fn hand_out_all(self: &Arc<Self>) {
        loop {
            let next = self.lock().next(self.now());
            let Some((waiter, ticket)) = next else { return };
            let slot = Slot {
                shared: Arc::clone(self),
                ticket: Some(ticket),
                is_answered: false,
                outcome: Outcome::NotTried,
                took: Duration::ZERO,
            };
            if let Err(mut slot) = waiter.turn.send(slot) {
                // Who stood in line waits no longer; the next one follows here.
                slot.give_back();
            }
        }
    }
}

/// What became of a turn that is waited for.
pub enum News {
    /// It is there.
    Slot(Slot),
    /// It is not, since requests to the host are held back. Told once, and not to all at once.
    Held(Held),
    /// There will be none any more.
    Never,
}

impl Turn {
    /// Waits for news.
    pub async fn news(&mut self) -> News {
        let told = async {
            match &mut self.held {
                Some(held) => held.await.ok(),
                None => None,
            }
        };
        let held = tokio::select! {
            biased;
            slot = &mut self.turn => return slot.map_or(News::Never, News::Slot),
            Some(held) = told => held,
        };
        self.held = None;
        News::Held(held)
    }
}

impl Slot {
    /// Notes how the request ended, as far as it tells of the server, and how long that took.
    pub fn saw(&mut self, answer: &Result<RawResponse, TokenError>, took: Duration) {
        self.took = took;
        self.outcome = match answer {
            Ok(raw) => seen_in(raw),
            Err(TokenError::OutcomeUnknown(_, side)) => {
                failed(*side, Trouble::Failing(Duration::ZERO))
            }
            Err(TokenError::Unreachable(_, side)) => failed(*side, Trouble::Unreachable),
            // Held back by ourselves, which says nothing of the server.
            Err(_) => Outcome::NotTried,
        };
    }

    /// Notes what went wrong by an answer that is read, since only that may tell that the server asks to come later, and
    /// gives back what was held for the request.
    pub fn was_read(&mut self, error: Option<&TokenError>) {
        if let Some(error @ (TokenError::Server { .. } | TokenError::RateLimited { .. })) = error
            && self.outcome == Outcome::Answered
        {
            let wait = error.retry_after().unwrap_or_default();
            self.outcome = Outcome::Failed(Trouble::Failing(wait));
        }
        self.answered();
    }

    /// Gives back what was held for the request, once its answer is there.
    pub fn answered(&mut self) {
        if self.give_back_request() {
            self.shared.hand_out();
        }
    }

    fn give_back_request(&mut self) -> bool {
        let Some(ticket) = self.ticket.as_ref().filter(|_| !self.is_answered) else { return false };
        self.is_answered = true;
        let mut queue = self.shared.lock();
        let opened = queue.answered(ticket, self.outcome, self.took, self.shared.now());
        drop(queue);
        if let Some(opened) = opened {
            let Place { namespace, host } = &ticket.place;
            match opened {
                Opened::Host => {
                    tracing::warn!(%host, "token requests of several namespaces fail in a row; those of all are held back");
                }
                Opened::Lane => {
                    tracing::warn!(%namespace, %host, "token requests fail in a row and are held back");
                }
            }
            self.shared.held_back.notify_one();
        }
        true
    }

    fn give_back(&mut self) -> bool {
        self.give_back_request();
        let ticket = self.ticket.take();
        ticket.map(|ticket| self.shared.lock().left(&ticket)).is_some()
    }
}

fn seen_in(raw: &RawResponse) -> Outcome {
    let asks_to_wait = raw.asks_to_wait().filter(|_| raw.status >= 400);
    let wait = asks_to_wait.unwrap_or_default();
    match raw.status {
        429 => Outcome::Failed(Trouble::Limited(wait)),
        500.. => Outcome::Failed(Trouble::Failing(wait)),
        _ if asks_to_wait.is_some() || raw.ending == Ending::BrokenOff => {
            Outcome::Failed(Trouble::Failing(wait))
        }
        _ => Outcome::Answered,
    }
}

fn failed(side: Side, trouble: Trouble) -> Outcome {
    match side {
        Side::Server => Outcome::Failed(trouble),
        Side::Caller => Outcome::FailedForCaller(trouble),
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.give_back() {
            self.shared.hand_out();
        }
    }
}

#[cfg(test)]
mod tests;
