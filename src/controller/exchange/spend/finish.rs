//! What an exchange comes to.

use crate::api::Reason;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::render::Tokens;
use crate::lifecycle::rotation::answer::Answer;
use crate::lifecycle::rotation::claim::Verdict;
use crate::lifecycle::rotation::commit::lifespan;
use crate::lifecycle::rotation::exchange::End as Over;
use crate::lifecycle::schedule::plus;
use crate::oauth::error::TokenError;

use crate::controller::exchange::LOOK_AT_HOLDER;
use crate::controller::exchange::attempt::End;
use crate::controller::exchange::write_back::write_back;
use crate::controller::state::Marks;

use super::Spender;

impl Spender<'_, '_> {
    pub(super) async fn finish(&mut self, over: Over) -> Result<End, Problem> {
        match over {
            Over::Committed => self.hand_over().await,
            Over::NothingNew => {
                let version = self.base.version().to_owned();
                self.note(|note| note.known_state = Some(version));
                Ok(End::SourceIsKnown)
            }
            Over::Waiting(verdict) => self.wait(&verdict),
            Over::Dead => Err(Problem::new(
                Reason::ReauthorizationRequired,
                format!(
                    "the refresh token in the source Secret {} is one the authorization server called invalid",
                    self.exchange.spec.source.name
                ),
            )),
            Over::Superseded => {
                let (namespace, state) = (&self.place.namespace, &self.place.name);
                tracing::error!(
                    namespace,
                    state,
                    "another process committed first; this result is dropped"
                );
                Ok(End::Stale)
            }
            Over::Outdated => Ok(End::Stale),
            Over::Kept if self.client_was_refused() => {
                let problem = self.problem.take().into_iter().zip(&self.seen).next();
                problem.map_or(Ok(End::Stale), |(problem, seen)| {
                    seen.chosen.refused(self.exchange, problem)
                })
            }
            Over::Blocked | Over::NotSent | Over::Kept | Over::Rejected | Over::Unknown => {
                self.problem.take().map_or(Ok(End::Stale), Err)
            }
        }
    }

    fn client_was_refused(&self) -> bool {
        matches!(
            self.answer,
            Some(Answer::Kept(
                TokenError::InvalidClient(_) | TokenError::Refused { unauthorized: true, .. }
            ))
        )
    }

    pub(super) fn wait(&self, verdict: &Verdict) -> Result<End, Problem> {
        let now = self.exchange.context.clock.now();
        match verdict {
            Verdict::Respect { until } => {
                let next = plus(now, LOOK_AT_HOLDER);
                Ok(End::Claimed { until: next.min(*until) })
            }
            Verdict::Hold { .. } => Ok(End::Held),
            Verdict::Try { .. } => Ok(End::Stale),
            Verdict::GiveUp { .. } => Err(Problem::new(
                Reason::ReauthorizationRequired,
                "the refresh token was sent often enough without an answer that says what became of it".to_owned(),
            )),
        }
    }

    /// Everything is safe: what remains can be done again at any time.
    pub(super) async fn hand_over(&mut self) -> Result<End, Problem> {
        let context = self.exchange.context;
        let Some(record) = self.record.take() else { return Ok(End::Stale) };
        self.note(|note| {
            note.keep_newest(&record);
            note.keep_marks(Marks::default());
        });
        let header = record.header();
        let rotated = self.before.as_ref().map_or(0, |before| before.rotations) != record.rotations;
        if rotated {
            context.metrics.rotated();
        }
        let tokens = Tokens::from_state(&record);
        let handed_over = match &self.answer {
            Some(Answer::Granted(set)) => {
                let lifetime = self.exchange.spec.default_lifetime;
                let end = End::Stored {
                    set: set.clone(),
                    lifespan: lifespan(set, header.issued_at, lifetime),
                    client: record.client.clone(),
                };
                let before = self.before.as_ref();
                self.exchange.hand_over(&tokens, &header, before).await.map(|()| end)
            }
            // The new refresh token is safe; the access token is still to be had.
            _ => self.problem.take().map_or(Ok(End::Stale), Err),
        };
        if self.exchange.spec.source.write_back {
            write_back(self.exchange, &record).await;
        }
        handed_over
    }
}
