//! From the answer read to the answer safe: tried for ever, since the only copy of the token is here.

use crate::fail_point;
use crate::lifecycle::rotation::commit::outdating;
use crate::lifecycle::rotation::exchange::{Event, Found};
use crate::lifecycle::rotation::invariants::Invariant;
use crate::oauth::secret::RefreshToken;

use crate::controller::secrets::WriteError;
use crate::controller::state::{self, FIRST_RETRY, LAST_RETRY, State};

use super::Spender;

impl Spender<'_, '_> {
    pub(super) async fn commit(&mut self) -> Event<RefreshToken> {
        let (context, credential) = (self.exchange.context, self.exchange.credential);
        let (Some(answer), Some(sent_at), Ok(spent)) = (&self.answer, self.sent_at, self.spent())
        else {
            return Event::Refused;
        };
        let lifetime = self.exchange.spec.default_lifetime;
        // One that was deleted or set back meanwhile goes on from what was read before.
        let read = self.seen.as_ref().and_then(|seen| seen.state.record.as_ref());
        let known = read.into_iter().chain(self.base.record.as_ref());
        let base = known.max_by_key(|record| record.generation);
        let record = answer.record(base, spent, sent_at, lifetime);
        let Some(record) = record else { return Event::Refused };
        let record = outdating(record, self.base.claim.as_ref(), &self.id);
        fail_point::reach("committing");
        self.read_back = false;
        let written =
            state::commit(&context.secrets, &self.place, &self.base, &self.id, &record).await;
        self.record = Some(record);
        let (namespace, state) = (&self.place.namespace, &self.place.name);
        match written {
            Ok(meta) => {
                fail_point::reach("committed");
                if let Some(received) = self.received.take() {
                    context.metrics.committed(received.elapsed());
                }
                let names = context.index.saw_secret(&meta);
                context.wake_others(names, credential);
                return Event::Done;
            }
            Err(WriteError::NamespaceGone) => {
                tracing::error!(namespace, state, "the namespace is gone, and this result with it");
                self.base = State::gone();
            }
            Err(error) => {
                tracing::error!(namespace, state, %error, "result not committed yet; trying again");
            }
        }
        tokio::time::sleep(self.wait).await;
        self.wait = self.wait.saturating_mul(2).min(LAST_RETRY);
        Event::Unclear
    }

    pub(super) async fn reread(&mut self) -> Event<RefreshToken> {
        let mut wait = FIRST_RETRY;
        while !self.base.is_gone() {
            match state::reread(&self.exchange.context.secrets, &self.place).await {
                Ok(found) => {
                    self.base = found;
                    break;
                }
                Err(error) => {
                    let (namespace, state) = (&self.place.namespace, &self.place.name);
                    tracing::warn!(namespace, state, %error, "state not read; trying again");
                }
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2).min(LAST_RETRY);
        }
        self.read_back = true;
        let stored = self.base.record.as_ref();
        let spent = self.seen.as_ref().map(|seen| &seen.spent);
        Event::Found(Found {
            generation: self.base.generation(),
            is_ours: stored.is_some() && stored == self.record.as_ref(),
            // Where there is no place any more there is nothing to be done again.
            knows_seed: self.base.is_gone()
                || stored.zip(spent).is_some_and(|(stored, spent)| {
                    stored.outdates(&spent.seed, &spent.source_version)
                }),
        })
    }

    pub(super) async fn free(&mut self) -> Event<RefreshToken> {
        fail_point::reach("freeing");
        if self.record.is_some() && !self.read_back {
            // Left to the next start, which reads before it frees anything.
            self.exchange.context.violated(Invariant::ReadBack, &self.place);
            self.slot = None;
        }
        self.exchange.unsaved.forget();
        if self.raw.is_some() {
            self.exchange.context.metrics.answer_is_settled();
        }
        if let Some(slot) = self.slot.take() {
            slot.free().await;
        }
        Event::Done
    }
}
