//! From the first byte sent to the answer read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::api::Reason;
use crate::fail_point;
use crate::lifecycle::failure::{of_token_error, of_unknown_outcome};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::resolve::GrantKind;
use crate::lifecycle::rotation::answer::{self, Answer};
use crate::lifecycle::rotation::exchange::{Event, Intent, Reply};
use crate::lifecycle::rotation::hold::answer_limit;
use crate::lifecycle::rotation::invariants::{Invariant, Sending};
use crate::oauth::error::TokenError;
use crate::oauth::request::GrantInput;
use crate::oauth::secret::RefreshToken;
use crate::oauth::transport::SendGuard;

use crate::controller::exchange::look::Seen;
use crate::controller::state;

use super::Spender;

/// Notes whether the guard allowed anything.
fn noting(guard: SendGuard) -> (SendGuard, Arc<AtomicBool>) {
    let allowed = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&allowed);
    let asked: SendGuard = Arc::new(move || {
        let may_send = guard();
        noted.fetch_or(may_send, Ordering::Relaxed);
        may_send
    });
    (asked, allowed)
}

impl Spender<'_, '_> {
    pub(super) async fn send(
        &mut self,
        token: &RefreshToken,
        intent: Option<&Intent<RefreshToken>>,
    ) -> Event<RefreshToken> {
        let context = self.exchange.context;
        let (Some(seen), Some(claim), Some(intent)) = (&self.seen, &self.base.claim, intent) else {
            return Event::NotSent;
        };
        if let Some(invariant) = self.sending(seen, intent).broken() {
            self.defect(invariant);
            return Event::NotSent;
        }
        let sent_at = context.clock.now();
        if let Some(slot) = &self.slot
            && let Err(error) = slot.sending(sent_at).await
        {
            let message = format!("the journal can't be written: {error}");
            self.problem = Some(Problem::new(Reason::StateNotWritable, message));
            return Event::NotSent;
        }
        self.sent_at = Some(sent_at);
        self.keep_for_rescue();
        fail_point::reach("sending");
        let grant = GrantInput::RefreshToken(token.clone());
        let request = self.exchange.spec.request(&seen.chosen.client, &grant, || context.stamp());
        self.sent = seen.secrets(request.as_ref().ok());
        let guard = context.send_guard(claim.term, self.claimed, self.last_harmless(intent));
        let (guard, allowed) = noting(guard);
        let limit = answer_limit(self.exchange.spec.reuse_grace);
        let begun = Instant::now();
        let sent = match request {
            Ok(request) => context.transport.spend(&request, limit, guard).await,
            Err(error) => Err(error),
        };
        let took = begun.elapsed();
        context.metrics.token_request_took(took);
        let went_out = allowed.load(Ordering::Relaxed);
        let sent = sent.map_err(|error| error.sent(went_out));
        self.exchange.slot.saw(&sent, took);
        match sent {
            Err(error) if !error.may_have_gone_out() => {
                self.problem = Some(of_token_error(&error, GrantKind::RefreshToken));
                self.sent_at = None;
                self.keep_for_rescue();
                return Event::NotSent;
            }
            Err(error) => self.why_none = Some(error),
            Ok(raw) => {
                if !went_out {
                    context.violated(Invariant::GuardedSend, &self.place);
                }
                self.raw = Some(raw);
            }
        }
        if self.raw.is_some() {
            context.metrics.answer_came();
        }
        self.exchange.trace.sent_at = Some(sent_at);
        self.received = Some(Instant::now());
        self.keep_for_rescue();
        fail_point::reach("received");
        Event::Received { sent_at, over_at: context.clock.now() }
    }

    /// What is known right before the request.
    fn sending<'s>(&'s self, seen: &'s Seen, intent: &'s Intent<RefreshToken>) -> Sending<'s> {
        let newest = self.exchange.context.notes.of(self.exchange.credential).newest;
        Sending {
            intent,
            exchange: &self.id,
            record: self.base.record.as_ref(),
            claim: self.base.claim.as_ref(),
            newest_generation: newest.map_or(0, |newest| newest.generation),
            seed: &seen.spent.seed,
            refused: self.base.refused.as_ref(),
            asked_at: seen.asked_at,
        }
    }

    pub(super) async fn journal(&mut self) -> Event<RefreshToken> {
        if let (Some(slot), Some(raw)) = (&self.slot, &self.raw) {
            if let Err(error) = slot.write(raw).await {
                tracing::error!(%error, "answer not journaled; it is kept in memory until it is committed");
                return Event::Refused;
            }
            if let Some(received) = self.received {
                self.exchange.context.metrics.journaled(received.elapsed());
            }
        }
        fail_point::reach("journaled");
        Event::Done
    }

    pub(super) async fn parse(&mut self) -> Event<RefreshToken> {
        let style = &self.exchange.spec.response;
        let answer = answer::read(self.raw.as_ref(), style, self.why_none.take(), &self.sent);
        // Whatever becomes of the commit, it holds up no other request.
        self.exchange.slot.was_read(answer.error());
        if let (Answer::Granted(_), Some(seen)) = (&answer, &self.seen) {
            seen.chosen.taken(self.exchange);
        }
        self.problem = answer.error().map(|error| match &answer {
            Answer::Unknown(_) => of_unknown_outcome(error),
            // The token is safe, and its server is asked again as after any failure.
            Answer::Salvaged(..) => {
                of_token_error(&TokenError::Invalid(error.why()), GrantKind::RefreshToken)
            }
            _ => of_token_error(error, GrantKind::RefreshToken),
        });
        let mut reply = answer.reply(self.was_rejected());
        if matches!(answer, Answer::Rejected(_)) && self.was_overtaken().await {
            // Another token is there already: this one's death is no news.
            reply = Reply::Kept;
            self.problem = None;
        }
        self.answer = Some(answer);
        Event::Parsed(reply)
    }

    /// Whether the state holds a newer token than the one that was sent.
    pub(super) async fn was_overtaken(&self) -> bool {
        let found = state::reread(&self.exchange.context.secrets, &self.place).await;
        found.is_ok_and(|found| found.generation() > self.base.generation())
    }
}
