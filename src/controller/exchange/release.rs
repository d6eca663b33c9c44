//! What becomes of the claim of an exchange that brought no token set.

use std::time::Duration;

use crate::lifecycle::rotation::choice::RefusedSeed;
use crate::lifecycle::rotation::claim::Trouble;
use crate::lifecycle::rotation::commit::Spent;
use crate::lifecycle::rotation::exchange::Release;

use crate::controller::secrets::WriteError;
use crate::controller::state::{self, Place, Released, State};

use super::attempt::Exchange;

/// How often it is tried before it is left to what the claim itself says.
const TRIES: u32 = 6;
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// Takes the claim away or leaves a mark. `trouble` says what came instead of an answer.
pub async fn release(
    exchange: &Exchange<'_>,
    place: &Place,
    id: &str,
    claimed: &State,
    release: &Release,
    spent: &Spent,
    trouble: Option<Trouble>,
) {
    let context = exchange.context;
    let mut base = claimed.clone();
    let mut wait = FIRST_RETRY;
    for _ in 0..TRIES {
        let now = context.clock.now();
        let Some(released) = released(now, release, &base, spent, trouble.as_ref()) else {
            return;
        };
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
        wait = wait.saturating_mul(3);
        if let Ok(found) = state::reread(&context.secrets, place).await {
            if !found.is_claimed_by(id) {
                return;
            }
            base = found;
        }
    }
    if *release == Release::Free {
        // It still stands there, but this process knows that it means nothing.
        let uid = exchange.credential.metadata.uid.as_deref().unwrap_or_default();
        context.notes.update(uid, |note| note.dismissed = Some(id.to_owned()));
    }
}

fn released(
    now: jiff::Timestamp,
    release: &Release,
    base: &State,
    spent: &Spent,
    trouble: Option<&Trouble>,
) -> Option<Released> {
    Some(match release {
        Release::Free => Released::Free,
        Release::Unresolved(unresolved) => {
            let claim = base.claim.as_ref()?;
            let trouble = trouble.cloned().unwrap_or_else(|| claim.trouble());
            Released::Marked(Box::new(claim.marked(*unresolved, trouble)))
        }
        Release::Dead => Released::Dead {
            seed: RefusedSeed::of(&spent.seed, &spent.salt, now),
            source_version: spent.source_version.clone(),
        },
    })
}
