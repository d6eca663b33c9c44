//! Asks a protected resource whether it takes the token in the target. In the background: nothing waits for it, and an
//! exchange may begin meanwhile.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use zeroize::Zeroizing;

use crate::api::OAuthCredential;
use crate::lifecycle::plan::World;
use crate::lifecycle::probe::{Probe, Probed, Unclear, Verdict};
use crate::oauth::error::TokenError;
use crate::oauth::request::{Method, TokenRequest};
use crate::oauth::sent::Sent;
use crate::oauth::tls::{Roots, Tls};

use super::context::Context;
use super::index::named;

/// Begins.
pub fn start(context: &Arc<Context>, credential: &OAuthCredential, world: &World<'_>) {
    let probe = world.spec.ok().and_then(|spec| spec.probe.clone());
    let record = world.target.and_then(|target| target.record.as_ref());
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
            verdict = ask(&context, &name.0, &target, &probe, roots) => Some(verdict),
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
    namespace: &str,
    target: &str,
    probe: &Probe,
    roots: Option<Roots>,
) -> Verdict {
    let _turn = context.probes.wait(namespace).await;
    let secret = match context.secrets.get(namespace, target).await {
        Ok(secret) => secret,
        Err(error) => {
            let why = format!("the target can't be read: {error}");
            return Verdict::Inconclusive(Unclear::NotAsked, why);
        }
    };
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let authorization =
        data.get("authorization").and_then(|bytes| HeaderValue::from_bytes(&bytes.0).ok());
    let Some(mut authorization) = authorization else {
        let why = "the target holds no token".to_owned();
        return Verdict::Inconclusive(Unclear::NotAsked, why);
    };
    authorization.set_sensitive(true);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
    let (endpoint, body) = (probe.url.clone(), Zeroizing::default());
    let request = TokenRequest {
        method: Method::Get,
        endpoint,
        headers,
        body,
        tls: Tls { roots, identity: None },
        sent: Sent::default(),
    };
    match context.transport.send(&request).await {
        Ok(answer) => probe.judge(answer.status),
        Err(error) => unanswered(&error),
    }
}

fn unanswered(error: &TokenError) -> Verdict {
    let kind = match error {
        TokenError::Denied(_) | TokenError::NotSent(_) => Unclear::NotAsked,
        TokenError::Unreachable(_) => Unclear::NotReached,
        _ => Unclear::NotAnswered,
    };
    Verdict::Inconclusive(kind, error.why_of("it"))
}
