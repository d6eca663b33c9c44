//! Asks a protected resource whether it takes the token in the target. In the background: nothing waits for it, and an
//! exchange may begin meanwhile.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use k8s_openapi::api::core::v1::Secret;
use zeroize::Zeroizing;

use crate::api::OAuthCredential;
use crate::api::provider::ClientAuthenticationMethod;
use crate::lifecycle::plan::World;
use crate::lifecycle::probe::{Probe, Probed, Unclear, Verdict};
use crate::lifecycle::record::{CREDENTIAL, Record};
use crate::lifecycle::resolve::{self, Resolved};
use crate::oauth::client_auth::Client;
use crate::oauth::error::TokenError;
use crate::oauth::request::{Method, TokenRequest};
use crate::oauth::sent::Sent;
use crate::oauth::tls::{Identity, Tls};

use super::context::Context;
use super::index::{Name, named};
use super::provider;

/// Begins.
pub fn start(context: &Arc<Context>, credential: &OAuthCredential, world: &World<'_>) {
    context.notes.update(world.uid, |note| note.probing = true);
    let (context, uid) = (Arc::clone(context), world.uid.to_owned());
    let name = named(&credential.metadata);
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = ask(&context, &name, &uid) => ended,
            () = context.stopping.cancelled() => None,
        };
        // What is said of an older token is no news: a renewal may have ended its life.
        let newest = newest(&context, &name);
        let ended = ended.filter(|(revision, _)| newest.is_none_or(|newest| *revision >= newest));
        let (at, is_news) = (context.clock.now(), ended.is_some());
        context.notes.update(&uid, |note| {
            note.probing = false;
            if let Some((revision, verdict)) = ended {
                let probed = Probed::after(note.probed.as_deref(), revision, at, verdict);
                note.probed = Some(Box::new(probed));
            }
        });
        if is_news {
            say(&context, &name, &uid);
        }
        context.wake(&name.0, &name.1);
    });
}

/// Which token set the target has, as the watch has shown it.
fn newest(context: &Context, name: &Name) -> Option<i64> {
    Some(context.index.sight(&name.0, &name.1).target?.record.as_ref()?.revision)
}

/// An event for a token that was refused.
fn say(context: &Context, name: &Name, uid: &str) {
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

/// What is said of which token set; nothing when there is nothing to ask any more. The wait for a turn may be long, so that
/// all is read after it.
async fn ask(context: &Context, name: &Name, uid: &str) -> Option<(i64, Verdict)> {
    let _turn = context.probes.wait(&name.0).await;
    let object = context.credential(&name.0, &name.1)?;
    let credential = object.0.as_ref().ok()?;
    let meta = &credential.metadata;
    if meta.uid.as_deref() != Some(uid)
        || meta.deletion_timestamp.is_some()
        || credential.spec.suspend
    {
        return None;
    }
    let unread = |why| Some((newest(context, name)?, not_asked(why)));
    let provider = match provider::of(context, credential) {
        Ok(provider) => provider,
        Err(problem) => return unread(problem.message),
    };
    let spec = match resolve::spec(&credential.spec, &provider, context.policy) {
        Ok(spec) => spec,
        Err(problem) => return unread(problem.message),
    };
    let probe = spec.probe.as_ref()?;
    let (revision, authorization) = match token(context, name, &spec).await {
        Ok(read) => read,
        Err(why) => return unread(why),
    };
    let identity = match identity(context, &name.0, &spec).await {
        Ok(identity) => identity,
        Err(why) => return unread(why),
    };
    let request = request(&spec, probe, authorization, identity);
    let verdict = match context.transport.send(&request).await {
        Ok(answer) => probe.judge(answer.status),
        Err(error) => unanswered(&error),
    };
    Some((revision, verdict))
}

fn not_asked(why: String) -> Verdict {
    Verdict::Inconclusive(Unclear::NotAsked, why)
}

fn request(
    spec: &Resolved<'_>,
    probe: &Probe,
    authorization: HeaderValue,
    identity: Option<Identity>,
) -> TokenRequest {
    // A resource at the same place as the token endpoint has the same authorities.
    let roots = spec.roots.clone().filter(|_| spec.endpoint.origin() == probe.url.origin());
    TokenRequest {
        method: Method::Get,
        endpoint: probe.url.clone(),
        headers: HeaderMap::from_iter([(AUTHORIZATION, authorization)]),
        body: Zeroizing::default(),
        tls: Tls { roots, identity },
        sent: Sent::default(),
    }
}

/// The token set in the target, and its header.
async fn token(
    context: &Context,
    (namespace, name): &Name,
    spec: &Resolved<'_>,
) -> Result<(i64, HeaderValue), String> {
    let secret = context.secrets.get(namespace, &spec.target.name).await;
    let secret = secret.map_err(|error| format!("the target can't be read: {error}"))?;
    Ok(shown(secret.unwrap_or_default(), name)?)
}

/// What of a target is shown. One that was made for another credential is none: its token is not for whom this one names,
/// who may have named it while the probe waited.
fn shown(target: Secret, credential: &str) -> Result<(i64, HeaderValue), &'static str> {
    let marks = target.metadata.annotations.unwrap_or_default();
    if marks.get(CREDENTIAL).is_some_and(|owner| owner != credential) {
        return Err("the target was made for another credential");
    }
    let record = Record::from_annotations(&marks).filter(|_| marks.contains_key(CREDENTIAL));
    let authorization = target.data.unwrap_or_default().remove("authorization");
    let authorization = authorization.and_then(|bytes| HeaderValue::from_bytes(&bytes.0).ok());
    let (record, mut authorization) =
        record.zip(authorization).ok_or("the target holds no token")?;
    authorization.set_sensitive(true);
    Ok((record.revision, authorization))
}

/// The certificate of a client that is known by it: its tokens may be bound to that (RFC 8705 §3).
async fn identity(
    context: &Context,
    namespace: &str,
    spec: &Resolved<'_>,
) -> Result<Option<Identity>, String> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_token_of_another_credential_is_not_shown() {
        let target = |owner: Option<&str>| {
            let marks = json!({
                "oauth-keeper.dev/credential": owner, "oauth-keeper.dev/revision": "7",
                "oauth-keeper.dev/issued-at": "2026-01-01T00:00:00Z",
                "oauth-keeper.dev/request": "q", "oauth-keeper.dev/source-version": "1",
            });
            let marks = marks.as_object().unwrap().iter();
            let marks = marks.filter_map(|(key, mark)| Some((key.clone(), mark.as_str()?.into())));
            let mut secret: Secret =
                serde_json::from_value(json!({"data": {"authorization": "QmVhcmVyIGE="}})).unwrap();
            secret.metadata.annotations = Some(marks.collect());
            secret
        };
        assert_eq!(shown(target(Some("c")), "c"), Ok((7, HeaderValue::from_static("Bearer a"))));
        let another = "the target was made for another credential";
        assert_eq!(shown(target(Some("victim")), "c"), Err(another));
        for nobodys in [target(None), Secret::default()] {
            assert_eq!(shown(nobodys, "c"), Err("the target holds no token"));
        }
    }
}
