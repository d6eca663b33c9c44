//! Revocation of the refresh token of a credential that is deleted together with its state (RFC 7009).

use std::time::Duration;

use crate::api::OAuthCredential;
use crate::clock::since_boot;
use crate::lifecycle::record::StateRecord;
use crate::lifecycle::resolve::{self, Resolved};
use crate::oauth::error::TokenError;

use crate::controller::context::Context;
use crate::controller::provider;
use crate::controller::state::{Place, State};

/// It is tried for this long; it never holds the deletion up for ever.
const REVOKE_FOR: Duration = Duration::from_secs(60);

/// Revokes the newest refresh token, which ends its lineage (RFC 7009 §2.1).
///
/// # Errors
/// What went wrong, if it is to be tried again.
pub(super) async fn revoke(
    context: &Context,
    credential: &OAuthCredential,
    state: &State,
) -> Result<(), String> {
    let Some(record) = &state.record else { return Ok(()) };
    let in_time = is_in_time(context, credential);
    let provider = match provider::of(context, credential) {
        Ok(provider) => provider,
        // It may come yet. One that was deleted with the credential will not.
        Err(problem) if in_time && !problem.is_stalled() => return Err(problem.message),
        Err(problem) => {
            not_revoked(context, credential, &problem.message);
            return Ok(());
        }
    };
    if provider.spec.revocation_endpoint.is_none() {
        return Ok(());
    }
    let spec = match resolve::spec(&credential.spec, &provider, context.policy) {
        Ok(spec) => spec,
        Err(problem) => {
            not_revoked(context, credential, &problem.message);
            return Ok(());
        }
    };
    let place = Place::of(credential);
    let here = match context.homes.of(&context.secrets, &place.namespace).await {
        Err(problem) if in_time => return Err(problem.message),
        here => here.unwrap_or_default(),
    };
    let allowed =
        record.endpoint == spec.origin_as(&record.endpoint) && record.owners.are_at_home(&here);
    let tried = if allowed {
        ask(context, &spec, &place, record).await
    } else {
        Err("the state belongs to another cluster or endpoint".to_owned())
    };
    let Err(why) = tried else {
        context.events.revoked(credential, None);
        return Ok(());
    };
    if allowed && in_time {
        return Err(why);
    }
    not_revoked(context, credential, &why);
    Ok(())
}

/// Asks the authorization server, with the next client secret too where the present one may have been refused.
async fn ask(
    context: &Context,
    spec: &Resolved<'_>,
    place: &Place,
    record: &StateRecord,
) -> Result<(), String> {
    let source = context.secrets.get(&place.namespace, spec.source.name).await;
    let data = source.ok().flatten().and_then(|source| source.data).unwrap_or_default();
    let (client, next) = spec.clients_of(&data).map_err(|problem| problem.message)?;
    let mut outcome = Ok(());
    for client in [client].into_iter().chain(next) {
        let request = spec.revocation(&client, &record.refresh_token, &context.stamp());
        let Some(request) = request.map_err(|error| error.why())? else { return Ok(()) };
        let why = |error: TokenError| error.why_of("the revocation endpoint");
        let answer = context.transport.send(&request).await.map_err(why)?;
        outcome = match answer.status {
            200..=299 => return Ok(()),
            status => Err(format!("the revocation endpoint answered {status}")),
        };
        if !matches!(answer.status, 400 | 401) {
            break;
        }
    }
    outcome
}

/// Whether revocation may still be tried.
fn is_in_time(context: &Context, credential: &OAuthCredential) -> bool {
    let uid = credential.metadata.uid.as_deref().unwrap_or_default();
    let now = since_boot();
    let mut since = now;
    // The note may not be there yet, in a process that never saw the credential before.
    context.notes.of(credential);
    context.notes.update(uid, |note| since = *note.revoking_since.get_or_insert(now));
    now.saturating_sub(since) < REVOKE_FOR
}

fn not_revoked(context: &Context, credential: &OAuthCredential, why: &str) {
    let why = format!("the refresh token was not revoked and may work until it expires: {why}");
    context.events.revoked(credential, Some(&why));
}
