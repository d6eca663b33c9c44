//! Brings to an end what an earlier process, or an exchange that panicked, left unfinished.

use std::io;

use crate::fail_point;
use crate::lifecycle::rotation::answer;
use crate::lifecycle::rotation::replay::{Settlement, Unfinished, settle as decide};

use super::journal::{Journal, Left};
use super::secrets::{Secrets, WriteError};
use super::state::{self, FIRST_RETRY, LAST_RETRY, Released};

/// Settles everything in the journal. Ends only when every answer is committed or proved useless.
///
/// # Errors
/// When the folder can't be read.
pub async fn all(secrets: &Secrets, journal: &Journal) -> io::Result<()> {
    for (left, slot) in journal.left().await? {
        settle(secrets, &left).await;
        slot.free().await;
    }
    Ok(())
}

/// Settles one exchange: tries until it is done, for ever.
pub async fn settle(secrets: &Secrets, left: &Left) {
    let place = left.entry.place();
    let (namespace, state) = (&place.namespace, &place.name);
    let spent = left.entry.spent();
    let answer = left.answer.as_ref().map(|raw| answer::read(Some(raw), None));
    let unfinished = Unfinished {
        exchange: &left.entry.exchange,
        spent: &spent,
        sent_at: left.sent_at,
        answer: answer.as_ref(),
        default_lifetime: left.entry.default_lifetime(),
    };
    let mut wait = FIRST_RETRY;
    loop {
        let settled = match state::reread(secrets, &place).await {
            Err(error) => Err(error),
            Ok(found) => {
                let record = found.record.as_ref();
                match decide(&unfinished, record, found.claim.as_ref(), found.generation()) {
                    Settlement::Nothing => return,
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
                        state::release(secrets, &place, &found, &Released::Free).await
                    }
                    Settlement::Mark(claim) => {
                        state::release(secrets, &place, &found, &Released::Marked(claim)).await
                    }
                }
            }
        };
        match settled {
            // Read once more, to see that it is there.
            Ok(_) => continue,
            Err(WriteError::NamespaceGone) => {
                tracing::error!(namespace, state, "the namespace is gone, and this result with it");
                return;
            }
            Err(error) => {
                tracing::error!(namespace, state, %error, "journaled answer not committed yet; trying again");
            }
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LAST_RETRY);
    }
}
