//! The grant that spends a refresh token: carries out what `lifecycle::rotation::exchange` says, one effect after the
//! other.

mod commit;
mod finish;
mod prepare;
mod redeem;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use crate::api::Reason;
use crate::fail_point;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{Record, StateRecord};
use crate::lifecycle::rotation::answer::Answer;
use crate::lifecycle::rotation::claim::Trouble;
use crate::lifecycle::rotation::commit::Spent;
use crate::lifecycle::rotation::exchange::{Effect, Event, Exchange as Machine, Intent};
use crate::lifecycle::rotation::hold::window;
use crate::lifecycle::rotation::invariants::Invariant;
use crate::lifecycle::schedule::{bounded_retry_after, plus};
use crate::oauth::error::TokenError;
use crate::oauth::response::RawResponse;
use crate::oauth::secret::RefreshToken;
use crate::oauth::sent::Sent;

use crate::controller::journal::{Entry, Left, Slot};
use crate::controller::notes::Note;
use crate::controller::state::{FIRST_RETRY, Place, State};

use super::attempt::{End, Exchange};
use super::look::Seen;
use super::release::{Ended, release};

/// Length of the access token that a first target is rehearsed with.
const USUAL_TOKEN: usize = 1024;

/// One exchange.
///
/// # Errors
/// What kept a token set from being had or from reaching the target.
pub async fn spend(exchange: &mut Exchange<'_>) -> Result<End, Problem> {
    let (mut machine, mut effect) = Machine::begin();
    let mut spender = Spender::new(exchange);
    loop {
        let event = match effect {
            Effect::Finish(over) => return spender.finish(over).await,
            effect => spender.perform(effect, &machine).await?,
        };
        effect = machine.on(event);
    }
}

/// An exchange as far as it has come.
struct Spender<'e, 'a> {
    exchange: &'e mut Exchange<'a>,
    place: Place,
    id: String,
    seen: Option<Seen>,
    /// The state as last read or written.
    base: State,
    /// Time since boot at the claim.
    claimed: Duration,
    slot: Option<Arc<Slot>>,
    sent_at: Option<Timestamp>,
    /// What the answer must not show.
    sent: Sent,
    received: Option<Instant>,
    raw: Option<RawResponse>,
    why_none: Option<TokenError>,
    /// Whether the state was read since the last try to commit.
    read_back: bool,
    answer: Option<Answer>,
    record: Option<StateRecord>,
    before: Option<Record>,
    wait: Duration,
    problem: Option<Problem>,
}

impl<'e, 'a> Spender<'e, 'a> {
    fn new(exchange: &'e mut Exchange<'a>) -> Self {
        Self {
            place: Place::of(exchange.credential),
            exchange,
            id: Uuid::new_v4().to_string(),
            seen: None,
            base: State::default(),
            claimed: Duration::ZERO,
            slot: None,
            sent_at: None,
            sent: Sent::default(),
            received: None,
            raw: None,
            why_none: None,
            read_back: false,
            answer: None,
            record: None,
            before: None,
            wait: FIRST_RETRY,
            problem: None,
        }
    }

    /// Carries out one effect and says what came of it. Fails only before anything is claimed.
    async fn perform(
        &mut self,
        effect: Effect<RefreshToken>,
        machine: &Machine<RefreshToken>,
    ) -> Result<Event<RefreshToken>, Problem> {
        Ok(match effect {
            Effect::Observe => self.observe().await?,
            Effect::Restore(_) => self.restore().await?,
            Effect::Rehearse => self.rehearse().await?,
            Effect::Reserve => self.reserve(machine.intent()).await?,
            Effect::Claim(intent) => self.claim(&intent).await,
            Effect::ReadClaim => self.read_claim().await,
            Effect::Send(token) => self.send(&token, machine.intent()).await,
            Effect::Journal => self.journal().await,
            Effect::Parse => self.parse().await,
            Effect::Commit => self.commit().await,
            Effect::Reread => self.reread().await,
            Effect::Release(what) => {
                self.exchange.slot.answered();
                fail_point::reach("releasing");
                if let Ok(spent) = self.spent() {
                    let ended = Ended { release: &what, spent, trouble: self.trouble() };
                    release(self.exchange, &self.place, &self.id, &self.base, &ended).await;
                }
                Event::Done
            }
            Effect::Free => self.free().await,
            Effect::Finish(_) => Event::Done,
        })
    }

    fn spent(&self) -> Result<&Spent, Problem> {
        let outdated = || Problem::new(Reason::Pending, "nothing was read yet".to_owned());
        self.seen.as_ref().map(|seen| &seen.spent).ok_or_else(outdated)
    }

    /// Whether a rejection would be the second in a row, which is believed.
    fn was_rejected(&self) -> bool {
        let credential = self.exchange.credential;
        let generation = credential.metadata.generation.unwrap_or_default();
        let failure = self.exchange.context.notes.of(credential).failure;
        failure.zip(self.spent().ok()).is_some_and(|(failure, spent)| {
            failure.reason == Reason::RefreshTokenRejected
                && failure.is_about(
                    generation,
                    Some(&spent.source_version),
                    self.exchange.spec.provider_version.as_deref(),
                )
        })
    }

    /// Until when sending the token again is harmless, if it is sent for that reason.
    fn last_harmless(&self, intent: &Intent<RefreshToken>) -> Option<Timestamp> {
        let grace = self.exchange.spec.reuse_grace.filter(|_| !intent.after_hold)?;
        intent.unresolved.map(|unresolved| plus(unresolved.first_at, window(grace)))
    }

    /// What is spent, for whoever brings the exchange to an end.
    fn entry(&self, spent: &Spent) -> Entry {
        let uid = self.exchange.credential.metadata.uid.as_deref().unwrap_or_default();
        Entry::new((&self.place, uid), &self.id, spent, self.exchange.spec.reading())
    }

    /// Puts all that is needed to bring the exchange to an end where a panic does not reach it.
    fn keep_for_rescue(&self) {
        let Ok(spent) = self.spent() else { return };
        let entry = self.entry(spent);
        let left = Left { entry, sent_at: self.sent_at, answer: self.raw.clone() };
        self.exchange.unsaved.keep(left, self.slot.clone());
    }

    /// Says that an invariant does not hold, so that nothing is done.
    fn defect(&mut self, invariant: Invariant) {
        self.exchange.context.violated(invariant, &self.place);
        let message = format!(
            "nothing was sent, for the invariant {} does not hold; this is a defect of oauth-keeper: please report it",
            invariant.as_str()
        );
        self.problem = Some(Problem::new(Reason::StateNotWritable, message));
    }

    /// What came instead of an answer.
    fn trouble(&self) -> Option<Trouble> {
        let Some(Answer::Unknown(error)) = &self.answer else { return None };
        let wait = error.retry_after().map(bounded_retry_after);
        let not_before = wait.map(|wait| plus(self.exchange.context.clock.now(), wait));
        Some(Trouble { why: Some(error.why()), not_before })
    }

    fn dismiss(&self) {
        let id = self.id.clone();
        self.note(|note| note.dismissed = Some(id));
    }

    fn note(&self, change: impl FnOnce(&mut Note)) {
        let uid = self.exchange.credential.metadata.uid.as_deref().unwrap_or_default();
        self.exchange.context.notes.update(uid, change);
    }
}
