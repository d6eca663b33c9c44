//! Reads the documents of issuers, each as long as anybody uses it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::api::{OAuthCredential, Reason};
use crate::controller::context::Context;
use crate::controller::index::Name;
use crate::controller::provider::goes_by;
use crate::controller::provider::report::providers_that;
use crate::controller::turns::{Turn, Turns};
use crate::lifecycle::problem::Problem;
use crate::oauth::discovery::{Metadata, issuer as parsed, places, read, request};
use crate::oauth::error::TokenError;

use super::{News, Publisher};

/// Issuers asked at once.
const AT_ONCE: usize = 8;
/// After so long it is looked whether anybody uses a document.
const LOOK_AT_USERS: Duration = Duration::from_secs(30);

/// Reads the documents that are asked for, until the end of all work.
pub async fn run(context: Arc<Context>) {
    let Some(mut asked) = context.discoveries.asked() else { return };
    let turns = Arc::new(Turns::new(AT_ONCE));
    while let Some(publisher) = asked.next().await {
        let (context, turns) = (Arc::clone(&context), Arc::clone(&turns));
        tokio::spawn(async move {
            let stopping = context.stopping.clone();
            stopping.run_until_cancelled(keep(&context, &publisher, &turns)).await;
        });
    }
}

/// Keeps one document as long as anybody uses it.
async fn keep(context: &Arc<Context>, publisher: &Publisher, turns: &Turns) {
    let unused = nobody_uses(context, publisher);
    tokio::pin!(unused);
    loop {
        let found = tokio::select! {
            turn = turn(context, publisher, turns) => {
                let found = fetch(context, publisher).await;
                drop(turn);
                found
            }
            () = &mut unused => return,
        };
        let (news, wait) = context.discoveries.note(publisher, found);
        match news {
            News::Nothing => {}
            News::First => context.wake_all(users(context, publisher)),
            News::Changed => context.wake_spread(users(context, publisher)),
        }
        if news != News::Nothing {
            for subject in providers_that(context, |spec| publisher.is_of(spec)) {
                context.reports.ask(subject);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = &mut unused => return,
        }
        // Those who went are forgotten.
        users(context, publisher);
    }
}

/// Forgets a document when nobody goes by it any more, and comes back then: who changes an issuer again and again has but
/// the last one kept.
async fn nobody_uses(context: &Context, publisher: &Publisher) {
    loop {
        tokio::time::sleep(LOOK_AT_USERS).await;
        let is_used =
            context.discoveries.is_used(publisher, |uid, name| goes(context, publisher, uid, name))
                || !providers_that(context, |spec| publisher.is_of(spec)).is_empty();
        if !is_used {
            return context.discoveries.forget(publisher);
        }
    }
}

/// A turn of any of the namespaces that want the document: where many wait in one of them, another one's turn may come
/// first.
async fn turn(context: &Context, publisher: &Publisher, turns: &Turns) -> Option<Turn> {
    let (mut lines, mut standing_in) = (FuturesUnordered::new(), BTreeSet::new());
    loop {
        let (mut namespaces, more) = context.discoveries.namespaces(publisher);
        if namespaces.is_empty() {
            // Providers alone use it.
            namespaces.push(String::new());
        }
        for namespace in namespaces {
            if standing_in.insert(namespace.clone()) {
                lines.push(async move { turns.wait(&namespace).await });
            }
        }
        tokio::select! {
            Some(turn) = lines.next() => return turn,
            () = more.notified() => {}
        }
    }
}

/// The credentials that go by an issuer's document, inline or by their provider.
fn users(context: &Context, publisher: &Publisher) -> Vec<Name> {
    context.discoveries.users(publisher, |uid, name| goes(context, publisher, uid, name))
}

/// Whether that credential is still there and goes by an issuer's document.
fn goes(context: &Context, publisher: &Publisher, uid: &str, (namespace, name): &Name) -> bool {
    let object = context.credential(namespace, name);
    let credential = object.as_ref().and_then(|object| object.0.as_ref().ok());
    credential.is_some_and(|credential: &OAuthCredential| {
        credential.metadata.uid.as_deref() == Some(uid) && goes_by(context, credential, publisher)
    })
}

async fn fetch(context: &Context, publisher: &Publisher) -> Result<Metadata, Problem> {
    let (issuer, tls) = (publisher.issuer(), publisher.tls()?);
    let url = parsed(issuer)
        .map_err(|why| Problem::new(Reason::SpecInvalid, format!("spec.provider.issuer {why}")))?;
    let mut faults = Vec::new();
    for place in places(&url) {
        match context.transport.send(&request(place.clone(), tls.clone())).await {
            Ok(answer) => match read(&answer, issuer, context.policy) {
                Ok(metadata) => return Ok(metadata),
                Err(why) => faults.push(format!("{place} {why}")),
            },
            // The other place is at the same host.
            Err(error) => return Err(unanswered(issuer, &error)),
        }
    }
    Err(Problem::new(Reason::DiscoveryFailed, faults.join("; ")))
}

fn unanswered(issuer: &str, error: &TokenError) -> Problem {
    let reason = match error {
        TokenError::Denied(_) => Reason::EndpointDenied,
        TokenError::Unreachable(..) | TokenError::NotSent(_) => Reason::EndpointUnreachable,
        _ => Reason::DiscoveryFailed,
    };
    let why = error.why_of("it");
    Problem::new(reason, format!("the issuer {issuer} was not read: {why}"))
}
