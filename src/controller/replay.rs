//! Brings to an end what an earlier process, or an exchange that panicked, left unfinished.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::fail_point;
use crate::lifecycle::rotation::answer;
use crate::lifecycle::rotation::replay::{Settlement, Unfinished, settle as decide};
use crate::metrics::Metrics;
use crate::oauth::secret::RefreshToken;
use crate::oauth::sent::Sent;

use super::journal::{Foreign, Found, Journal, Left, Slot};
use super::secrets::{Secrets, WriteError};
use super::state::{self, FIRST_RETRY, LAST_RETRY, Place, Released};

/// After a panic, which may come again: not at once.
const AFTER_A_PANIC: Duration = Duration::from_secs(60);

/// An exchange that the API server would not have settled yet.
pub struct Unsettled {
    /// Where its state is.
    pub place: Place,
    /// Goes on trying, and ends when it is settled.
    pub task: JoinHandle<()>,
}

/// What must not be spent yet.
#[derive(Default)]
pub struct Held {
    /// Exchanges that were refused.
    pub unsettled: Vec<Unsettled>,
    /// Those that this release can't read.
    pub foreign: Vec<Foreign>,
}

/// Settles everything in the journal, all at once. Gives back what could not be: its credentials must wait, and no other.
///
/// # Errors
/// When the folder can't be read.
pub async fn all(secrets: &Secrets, journal: &Journal, metrics: &Arc<Metrics>) -> io::Result<Held> {
    let Found { left, foreign, unreadable } = journal.left().await?;
    metrics.journal_not_read(foreign.len().saturating_add(unreadable));
    let begun: Vec<_> =
        left.into_iter().map(|(left, slot)| begin(secrets, metrics, left, slot)).collect();
    let mut unsettled = Vec::new();
    for (mut one, refused) in begun {
        tokio::select! {
            _ = &mut one.task => {}
            Ok(()) = refused => unsettled.push(one),
        }
    }
    Ok(Held { unsettled, foreign })
}

fn begin(
    secrets: &Secrets,
    metrics: &Arc<Metrics>,
    left: Left,
    slot: Slot,
) -> (Unsettled, oneshot::Receiver<()>) {
    let place = left.entry.place();
    let (say, refused) = oneshot::channel();
    let (secrets, metrics) = (secrets.clone(), Arc::clone(metrics));
    let task = tokio::spawn(async move {
        let answered = left.answer.is_some();
        if answered {
            metrics.answer_came();
        }
        let mut say = Some(say);
        let say_refused = || {
            // Nobody listens any more after the first time.
            let _ = say.take().map(|say| say.send(()));
        };
        settle(&secrets, &left, say_refused).await;
        slot.free().await;
        if answered {
            metrics.answer_is_settled();
        }
    });
    (Unsettled { place, task }, refused)
}

/// Settles one exchange: tries until it is done, for ever. Says when a write failed.
pub async fn settle(secrets: &Secrets, left: &Left, mut refused: impl FnMut()) {
    let mut wait = FIRST_RETRY;
    loop {
        let trying = AssertUnwindSafe(try_to_settle(secrets, left)).catch_unwind();
        match trying.await {
            Ok(Tried::Settled) => return,
            Ok(Tried::Unread) => {}
            Ok(Tried::Refused) => refused(),
            Err(_) => {
                refused();
                tokio::time::sleep(AFTER_A_PANIC).await;
            }
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LAST_RETRY);
    }
}

/// What came of one try.
enum Tried {
    /// It was read that nothing is left to be done, or there is no place for it any more.
    Settled,
    /// The API server could not be asked.
    Unread,
    /// It did not do what it was asked for.
    Refused,
}

async fn try_to_settle(secrets: &Secrets, left: &Left) -> Tried {
    let place = left.entry.place();
    let (namespace, state) = (&place.namespace, &place.name);
    let spent = left.entry.spent();
    let style = left.entry.response_style();
    // Of what was sent these alone are known here.
    let sent = Sent::of([&spent.seed, &spent.token].map(RefreshToken::expose));
    let answer = left.answer.as_ref().map(|raw| answer::read(Some(raw), style, None, &sent));
    let unfinished = Unfinished {
        exchange: &left.entry.exchange,
        spent: &spent,
        sent_at: left.sent_at,
        answer: answer.as_ref(),
        default_lifetime: left.entry.default_lifetime(),
    };
    loop {
        let read = state::reread(secrets, &place).await;
        let was_read = read.is_ok();
        let settled = match read {
            Err(error) => Err(error),
            Ok(found) => {
                let record = found.record.as_ref();
                match decide(&unfinished, record, found.claim.as_ref(), found.generation()) {
                    Settlement::Nothing => return Tried::Settled,
                    Settlement::Commit(record) => {
                        let id = &left.entry.exchange;
                        fail_point::reach("replaying");
                        let written = state::commit(secrets, &place, &found, id, &record).await;
                        fail_point::reach("replayed");
                        written.inspect(|_| {
                            tracing::info!(namespace, state, "journaled answer committed");
                        })
                    }
                    Settlement::Free => {
                        let displaced = found.claim.as_ref().and_then(|c| c.displaced.clone());
                        let freed = Released { claim: displaced, dead: None };
                        state::release(secrets, &place, &found, &freed).await
                    }
                    Settlement::Mark(claim) => {
                        let marked = Released { claim: Some(claim), dead: None };
                        state::release(secrets, &place, &found, &marked).await
                    }
                }
            }
        };
        match settled {
            // Read once more, to see that it is there.
            Ok(_) => {}
            Err(WriteError::NamespaceGone) => {
                tracing::error!(namespace, state, "the namespace is gone, and this result with it");
                return Tried::Settled;
            }
            Err(error) => {
                tracing::error!(namespace, state, %error, "journaled answer not committed yet; trying again");
                let refused = was_read || matches!(error, WriteError::Refused(_));
                return if refused { Tried::Refused } else { Tried::Unread };
            }
        }
    }
}
