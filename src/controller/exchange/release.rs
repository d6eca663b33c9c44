//! What becomes of the claim of an exchange that brought no token set.

use std::time::Duration;

use jiff::Timestamp;

use crate::lifecycle::rotation::choice::RefusedSeed;
use crate::lifecycle::rotation::claim::Trouble;
use crate::lifecycle::rotation::commit::Spent;
use crate::lifecycle::rotation::exchange::Release;

use crate::controller::secrets::WriteError;
use crate::controller::state::{self, Dead, LAST_RETRY, Marks, Place, Released, State};

use super::attempt::Exchange;

/// How often it is tried before it is left to what the claim itself says.
const TRIES: u32 = 6;
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// An exchange that brought no token set.
pub struct Ended<'a> {
    /// What the protocol says of the claim.
    pub release: &'a Release,
    /// What was spent.
    pub spent: &'a Spent,
    /// What came instead of an answer.
    pub trouble: Option<Trouble>,
}

/// Takes the claim away or leaves a mark.
pub async fn release(
    exchange: &Exchange<'_>,
    place: &Place,
    id: &str,
    claimed: &State,
    ended: &Ended<'_>,
) {
    let context = exchange.context;
    let mut base = claimed.clone();
    let mut wait = FIRST_RETRY;
    let mut tries: u32 = 0;
    while goes_on(tries, ended.release, context.stopping.is_cancelled()) {
        tries = tries.saturating_add(1);
        let Some(released) = ended.released(&base, context.clock.now()) else { return };
        // Known here at once, should the state be set back.
        remember(exchange, claimed, &released);
        match state::release(&context.secrets, place, &base, &released).await {
            Ok(meta) => {
                let names = context.index.saw_secret(&meta);
                return context.wake_others(names, exchange.credential);
            }
            Err(WriteError::NotFound | WriteError::NamespaceGone) => return,
            Err(error) => {
                let (namespace, state) = (&place.namespace, &place.name);
                tracing::warn!(namespace, state, %error, "claim not released; trying again");
            }
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(3).min(LAST_RETRY);
        if let Ok(found) = state::reread(&context.secrets, place).await {
            if !found.is_claimed_by(id) {
                return;
            }
            base = found;
        }
    }
    if *ended.release == Release::Free {
        // It still stands there, but this process knows that it means nothing.
        let uid = exchange.credential.metadata.uid.as_deref().unwrap_or_default();
        context.notes.update(uid, |note| note.dismissed = Some(id.to_owned()));
    }
}

/// A claim that stays says by itself what may be sent; but nothing else says that a lineage is dead. Where the process is
/// to end there is nothing to lose by leaving that.
fn goes_on(tries: u32, release: &Release, stopping: bool) -> bool {
    tries < TRIES || (*release == Release::Dead && !stopping)
}

fn remember(exchange: &Exchange<'_>, claimed: &State, released: &Released) {
    let dead = released.dead.as_ref().map(|dead| dead.seed.clone());
    let marks = Marks {
        claim: released.claim.as_deref().cloned(),
        refused: dead.or_else(|| claimed.refused.clone()),
    };
    let uid = exchange.credential.metadata.uid.as_deref().unwrap_or_default();
    exchange.context.notes.update(uid, |note| note.keep_marks(marks));
}

impl Ended<'_> {
    fn released(&self, base: &State, now: Timestamp) -> Option<Released> {
        let displaced = base.claim.as_ref().and_then(|claim| claim.displaced.clone());
        Some(match self.release {
            Release::Free => Released { claim: displaced, dead: None },
            Release::Unresolved(unresolved) => {
                let claim = base.claim.as_ref()?;
                let trouble = self.trouble.clone().unwrap_or_else(|| claim.trouble());
                let marked = claim.marked(*unresolved, trouble);
                Released { claim: Some(Box::new(marked)), dead: None }
            }
            Release::Dead => {
                let Spent { seed, token, salt, source_version, .. } = self.spent;
                let seed = RefusedSeed::of(seed, token, salt, now);
                let dead = Dead { seed, source_version: source_version.clone() };
                Released { claim: displaced, dead: Some(dead) }
            }
        })
    }
}
