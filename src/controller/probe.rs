//! Asks a protected resource whether it takes the token in the target. In the background: nothing waits for it, and an
//! exchange may begin meanwhile.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use zeroize::Zeroizing;

use crate::api::OAuthCredential;
use crate::api::provider::ClientAuthenticationMethod;
use crate::lifecycle::plan::World;
use crate::lifecycle::probe::{Probe, Probed, Unclear, Verdict};
use crate::lifecycle::resolve;
use crate::oauth::client_auth::Client;
use crate::oauth::error::TokenError;
use crate::oauth::request::{Method, TokenRequest};
use crate::oauth::sent::Sent;
use crate::oauth::tls::{Identity, Roots, Tls};

use super::context::Context;
use super::index::{Name, named};
use super::provider;

/// Begins.
pub fn start(context: &Arc<Context>, credential: &OAuthCredential, world: &World<'_>) {
    let probe = world.spec.ok().and_then(|spec| spec.probe.clone());
    let record = world.target.and_then(|target| target.record.as_deref());
    let (Some(probe), Some(revision)) = (probe, record.map(|record| record.revision)) else {
        return;
    };
    context.notes.update(world.uid, |note| note.probing = true);
    let (context, uid) = (Arc::clone(context), world.uid.to_owned());
    // One that is at the same place as the token endpoint has the same authorities.
    let spec = world.spec.ok().filter(|spec| spec.endpoint.origin() == probe.url.origin());
    let roots = spec.and_then(|spec| spec.roots.clone());
    let (name, target) = (named(&credential.metadata), credential.spec.target.name.clone());
    tokio::spawn(async move {
        let ended = tokio::select! {
            verdict = ask(&context, &name, &target, &probe, roots) => Some(verdict),
            () = context.stopping.cancelled() => None,
        };
        let at = context.clock.now();
        context.notes.update(&uid, |note| {
            note.probing = false;
            if let Some(verdict) = ended {
                let probed = Probed::after(note.probed.as_deref(), revision, at, verdict);
                note.probed = Some(Box::new(probed));
            }
        });
        say(&context, &name, &uid);
        context.wake(&name.0, &name.1);
    });
}

/// An event for a token that was refused.
fn say(context: &Context, name: &(String, String), uid: &str) {
    let Some(object) = context.credential(&name.0, &name.1) else { return };
    let Ok(credential) = &object.0 else { return };
    let probed = context.notes.of(credential).probed;
    let is_same = credential.metadata.uid.as_deref() == Some(uid);
    if let Some(probed) =
        probed.filter(|probed| is_same && matches!(probed.verdict, Verdict::Rejected(_)))
    {
        context.events.token_refused(credential, &probed.condition().2);
    }
}

async fn ask(
    context: &Context,
    name: &Name,
    target: &str,
    probe: &Probe,
    roots: Option<Roots>,
) -> Verdict {
    let _turn = context.probes.wait(&name.0).await;
    let read = async {
        let authorization = authorization(context, &name.0, target).await?;
        Ok((authorization, identity(context, name).await?))
    };
    let (authorization, identity) = match read.await {
        Ok(read) => read,
        Err(why) => return Verdict::Inconclusive(Unclear::NotAsked, why),
    };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
    let (endpoint, body) = (probe.url.clone(), Zeroizing::default());
    let request = TokenRequest {
        method: Method::Get,
        endpoint,
        headers,
        body,
        tls: Tls { roots, identity },
        sent: Sent::default(),
    };
    match context.transport.send(&request).await {
        Ok(answer) => probe.judge(answer.status),
        Err(error) => unanswered(&error),
    }
}

/// The header, with the token in the target.
async fn authorization(
    context: &Context,
    namespace: &str,
    target: &str,
) -> Result<HeaderValue, String> {
    let secret = context.secrets.get(namespace, target).await;
    let secret = secret.map_err(|error| format!("the target can't be read: {error}"))?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let authorization =
        data.get("authorization").and_then(|bytes| HeaderValue::from_bytes(&bytes.0).ok());
    let mut authorization = authorization.ok_or("the target holds no token")?;
    authorization.set_sensitive(true);
    Ok(authorization)
}

/// The certificate of a client that is known by it: its tokens may be bound to that (RFC 8705 §3).
async fn identity(context: &Context, (namespace, name): &Name) -> Result<Option<Identity>, String> {
    let Some(object) = context.credential(namespace, name) else { return Ok(None) };
    let Ok(credential) = &object.0 else { return Ok(None) };
    let provider = provider::of(context, credential).map_err(|problem| problem.message)?;
    let spec = resolve::spec(&credential.spec, &provider, context.policy);
    let spec = spec.map_err(|problem| problem.message)?;
    if spec.method != Some(ClientAuthenticationMethod::TlsClientAuth) {
        return Ok(None);
    }
    let secret = context.secrets.get(namespace, spec.source.name).await;
    let secret = secret.map_err(|error| format!("the source can't be read: {error}"))?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    match spec.clients_of(&data).map_err(|problem| problem.message)?.0 {
        Client::Fixed(client) => Ok(client.identity().cloned()),
        Client::Signing(_) => Ok(None),
    }
}

fn unanswered(error: &TokenError) -> Verdict {
    let kind = match error {
        TokenError::Denied(_) | TokenError::NotSent(_) => Unclear::NotAsked,
        TokenError::Unreachable(..) => Unclear::NotReached,
        _ => Unclear::NotAnswered,
    };
    Verdict::Inconclusive(kind, error.why_of("it"))
}
