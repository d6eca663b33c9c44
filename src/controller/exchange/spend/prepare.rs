//! Up to the claim: nothing is sent yet, and whatever fails loses nothing.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::Reason;
use crate::clock::since_boot;
use crate::fail_point;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{Record, StateRecord, seed_hash};
use crate::lifecycle::render::Tokens;
use crate::lifecycle::rotation::claim::{Claim, SEND_WITHIN};
use crate::lifecycle::rotation::exchange::{Event, Intent};
use crate::lifecycle::rotation::invariants::Claiming;
use crate::oauth::secret::{AccessToken, RefreshToken};

use crate::controller::exchange::look::look;
use crate::controller::secrets::WriteError;
use crate::controller::state::{self, FIRST_RETRY, Taking};
use crate::controller::target;

use super::{Spender, USUAL_TOKEN};

impl Spender<'_, '_> {
    pub(super) async fn observe(&mut self) -> Result<Event<RefreshToken>, Problem> {
        let Some(seen) = look(self.exchange).await? else { return Ok(Event::Outdated) };
        let view = seen.view.clone();
        self.base = seen.state.clone();
        self.before = seen.state.record.as_ref().map(StateRecord::header);
        self.note(|note| note.keep(&seen.state));
        self.seen = Some(seen);
        Ok(Event::Observed(view))
    }

    /// Writes the newest record of this process into a state that was set back.
    pub(super) async fn restore(&mut self) -> Result<Event<RefreshToken>, Problem> {
        let context = self.exchange.context;
        let note = context.notes.of(self.exchange.credential);
        let Some(newest) = note.newest else { return Ok(Event::Conflict) };
        // It was let in here, wherever it came from.
        let newest = StateRecord { owners: self.spent()?.owners.clone(), ..(*newest).clone() };
        let marks = note.marks.unwrap_or_default();
        let written =
            state::restore(&context.secrets, &self.place, &self.base, &newest, &marks).await;
        match written {
            Ok(meta) => {
                let names = context.index.saw_secret(&meta);
                context.wake_others(names, self.exchange.credential);
                context.events.state_restored(self.exchange.credential);
                Ok(Event::Done)
            }
            Err(WriteError::Conflict | WriteError::NotFound) => Ok(Event::Conflict),
            Err(error) => Err(state::unwritable(&self.place, &error)),
        }
    }

    /// Has the API server judge the write of the target, with tokens as long as the last ones.
    pub(super) async fn rehearse(&mut self) -> Result<Event<RefreshToken>, Problem> {
        let (context, credential) = (self.exchange.context, self.exchange.credential);
        let known = self.exchange.target();
        let access_token = self.base.record.as_ref().map_or_else(
            || AccessToken::new("x".repeat(USUAL_TOKEN)),
            |record| record.access_token.clone(),
        );
        let now = context.clock.now();
        let fields = self.base.record.as_ref().map(|record| record.fields.clone());
        let fields = fields.unwrap_or_default();
        let tokens =
            Tokens { access_token, token_type: "Bearer".to_owned(), expires_at: Some(now), fields };
        let record = self.before.clone().unwrap_or_else(|| self.first_header(now));
        match target::rehearse(context, credential, known.as_deref(), &tokens, &record).await {
            Ok(()) => Ok(Event::Done),
            Err(WriteError::Conflict | WriteError::NotFound) => Ok(Event::Outdated),
            Err(error) => Err(target::unwritable(credential, &error.to_string())),
        }
    }

    /// What the first target's annotations will look like.
    pub(super) fn first_header(&self, now: Timestamp) -> Record {
        Record {
            revision: 1,
            issued_at: now,
            expires_at: Some(now),
            request: self.exchange.spec.request_digest.clone(),
            source_version: String::new(),
            scopes: Vec::new(),
            lineage: None,
            rotations: 0,
            rotated_at: None,
            refresh_life: None,
            fields: Vec::new(),
        }
    }

    pub(super) async fn reserve(
        &mut self,
        intent: Option<&Intent<RefreshToken>>,
    ) -> Result<Event<RefreshToken>, Problem> {
        if let (Some(seen), Some(intent)) = (&mut self.seen, intent) {
            seen.spent.token = intent.token.clone();
            seen.spent.new_lineage = intent.new_lineage;
        }
        let Some(journal) = &self.exchange.context.journal else {
            self.keep_for_rescue();
            return Ok(Event::Done);
        };
        let entry = self.entry(self.spent()?);
        match journal.reserve(&entry).await {
            Ok(slot) => {
                self.slot = Some(Arc::new(slot));
                self.keep_for_rescue();
                fail_point::reach("reserved");
                Ok(Event::Done)
            }
            Err(error) => {
                let message = format!("the journal can't be written: {error}");
                Err(Problem::new(Reason::StateNotWritable, message))
            }
        }
    }

    pub(super) async fn claim(&mut self, intent: &Intent<RefreshToken>) -> Event<RefreshToken> {
        let context = self.exchange.context;
        let note = context.notes.of(self.exchange.credential);
        let standing = self.base.claim.as_ref().and_then(|claim| note.standing(claim));
        if let Some(invariant) = (Claiming { intent, standing }).broken() {
            self.defect(invariant);
            return Event::Refused;
        }
        let Ok(spent) = self.spent() else { return Event::Refused };
        let claim = Claim {
            exchange: self.id.clone(),
            token: seed_hash(&spent.salt, &intent.token),
            salt: spent.salt.clone(),
            holder: context.holder.clone(),
            source_version: spent.source_version.clone(),
            term: context.term.borrow().number,
            started_at: context.clock.now(),
            unresolved: intent.unresolved,
            over: false,
            not_before: None,
            why: standing
                .and_then(|claim| claim.about(&intent.token))
                .and_then(|claim| claim.why.clone()),
            displaced: standing.cloned().and_then(|claim| claim.beside(&intent.token)),
        };
        if !self.base.exists()
            && let Err(event) = self.make_state().await
        {
            return event;
        }
        self.claimed = since_boot();
        fail_point::reach("claiming");
        let texts = self.exchange.spec.response.fields.len();
        let taking = Taking { claim, token: &intent.token, texts };
        let written = state::claim(&context.secrets, &self.place, &self.base, taking).await;
        match written {
            Ok((state, meta)) => {
                self.note(|note| note.keep(&state));
                self.base = state;
                let names = context.index.saw_secret(&meta);
                context.wake_others(names, self.exchange.credential);
                fail_point::reach("claimed");
                Event::Done
            }
            Err(WriteError::Conflict | WriteError::NotFound) => Event::Conflict,
            Err(error) => {
                self.problem = Some(state::unwritable(&self.place, &error));
                if matches!(error, WriteError::Passing(_)) {
                    Event::Unclear
                } else {
                    Event::Refused
                }
            }
        }
    }

    /// Makes the state before it is claimed, so that the claim shows that it may be changed, as the commit must.
    async fn make_state(&mut self) -> Result<(), Event<RefreshToken>> {
        let made = state::create(&self.exchange.context.secrets, &self.place, self.base.marks());
        match made.await {
            Ok(state) => {
                self.base = state;
                Ok(())
            }
            Err(WriteError::Conflict) => Err(Event::Conflict),
            Err(error) => {
                self.problem = Some(state::unwritable(&self.place, &error));
                Err(Event::Refused)
            }
        }
    }

    /// Reads whether the claim was written, as long as the token could still be sent.
    pub(super) async fn read_claim(&mut self) -> Event<RefreshToken> {
        let context = self.exchange.context;
        while since_boot() < self.claimed.saturating_add(SEND_WITHIN) {
            if let Ok(found) = state::reread(&context.secrets, &self.place).await {
                // Beside a newer record it would be a claim of an old token.
                let ours =
                    found.is_claimed_by(&self.id) && found.generation() == self.base.generation();
                if ours {
                    self.base = found;
                } else {
                    // It may be written yet, but nothing will be sent for it.
                    self.dismiss();
                }
                return Event::ClaimIs { ours };
            }
            tokio::time::sleep(FIRST_RETRY).await;
        }
        // If it was written all the same, it means nothing: nothing was sent.
        self.dismiss();
        Event::ClaimIs { ours: false }
    }
}
