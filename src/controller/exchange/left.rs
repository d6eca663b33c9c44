//! Holds credentials back for which an earlier process left something in the journal that is not settled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use kube::Resource;

use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::WRITTEN_BACK;
use crate::lifecycle::resolve;
use crate::lifecycle::rotation::choice::{Seed, look_up};

use crate::controller::context::Context;
use crate::controller::index::Name;
use crate::controller::journal::{Foreign, Head};
use crate::controller::provider;
use crate::controller::replay::{Held, Unsettled};
use crate::controller::state::{self, Place, State};
use crate::controller::under_way::UnderWay;

use super::attempt::Trace;
use super::look::annotation;

/// A file that can't be read, and the state it is about, are looked at this often.
const LOOK_FOR_FILE: Duration = Duration::from_secs(2);

/// What was left of one credential.
struct Left {
    problem: Problem,
    ends: Vec<BoxFuture<'static, ()>>,
}

/// Lets nothing be spent for a credential until everything that an earlier process left of it is settled.
pub fn hold(context: &Arc<Context>, held: Held) {
    let mut left: HashMap<Name, Left> = HashMap::new();
    for Unsettled { place, task } in held.unsettled {
        let problem = unsettled(&place.name);
        let of_one = left.entry((place.namespace, place.credential));
        let end = task.map(drop).boxed();
        of_one.or_insert_with(|| Left { problem, ends: Vec::new() }).ends.push(end);
    }
    for foreign in held.foreign {
        let problem = not_readable(&foreign);
        let name = (foreign.head.namespace.clone(), foreign.head.credential.clone());
        let end = gone(Arc::clone(context), foreign).boxed();
        let of_one = left.entry(name);
        let of_one = of_one.or_insert_with(|| Left { problem: problem.clone(), ends: Vec::new() });
        of_one.problem = problem;
        of_one.ends.push(end);
    }
    for (name, Left { problem, ends }) in left {
        let reason = problem.reason;
        let Some(guard) = UnderWay::of_an_earlier_process(context, name, problem) else { continue };
        context.exchanges.spawn(async move {
            join_all(ends).await;
            if let Some(object) = guard.credential() {
                // What was said meanwhile is over.
                let uid = object.meta().uid.as_deref().unwrap_or_default();
                guard.context.notes.update(uid, |note| {
                    note.failure.take_if(|failure| failure.reason == reason);
                });
            }
            drop(guard);
        });
    }
}

fn unsettled(state: &str) -> Problem {
    let message = format!(
        "an answer that an earlier process received could not be written to the state Secret {state} yet; the log of the operator says why"
    );
    Problem::new(Reason::StateNotWritable, message)
}

fn not_readable(Foreign { head, path }: &Foreign) -> Problem {
    let what = if head.is_of_this_format() {
        "but the rest of it can't be read".to_owned()
    } else {
        format!("in the format {} of another release", head.version)
    };
    let message = format!(
        "the journal file {} is about an exchange of this credential, {what}, and it may hold the newest refresh token",
        path.display()
    );
    Problem::new(Reason::JournalNotReadable, message)
}

/// Waits until a file holds nobody back any more: it is gone, or so is the credential it is about, its exchange is over,
/// or a new refresh token is there. It stays where it is.
async fn gone(context: Arc<Context>, foreign: Foreign) {
    while foreign.is_there()
        && !is_another(&context, &foreign.head)
        && !is_over(&context, &foreign).await
    {
        tokio::select! {
            () = tokio::time::sleep(LOOK_FOR_FILE) => {}
            () = context.stopping.cancelled() => return,
        }
    }
    context.metrics.journal_file_let_go();
}

/// Whether the state is past the exchange, or a human signed in since. What can't be told is as it was, also where there is
/// no state.
async fn is_over(context: &Context, foreign: &Foreign) -> bool {
    let Some(exchange) = foreign.exchange() else { return false };
    let Head { namespace, credential, .. } = &foreign.head;
    let (namespace, credential) = (namespace.clone(), credential.clone());
    let place = Place { namespace, name: state::name(&credential), credential };
    let found = state::read(&context.secrets, &place).await;
    let Some(found) = found.ok().filter(State::exists) else { return false };
    let is_its = found.claim.as_ref().is_some_and(|claim| claim.speaks_of(exchange));
    !is_its || has_new_seed(context, &place, &found).await.unwrap_or_default()
}

/// Whether the source holds a refresh token that was never sent, and so not by the exchange either.
async fn has_new_seed(context: &Context, place: &Place, state: &State) -> Option<bool> {
    let object = context.credential(&place.namespace, &place.credential)?;
    let credential = object.0.as_ref().ok()?;
    let provider = provider::of(context, credential).ok()?;
    let spec = resolve::spec(&credential.spec, &provider, context.policy).ok()?;
    let source = context.secrets.get(&place.namespace, spec.source.name).await.ok()??;
    let content = spec.read_source(&source.data?).ok()?;
    let seed = content.seed()?;
    let mark = annotation(&source.metadata, WRITTEN_BACK);
    let standing = look_up(state.record.as_ref(), state.refused.as_ref(), seed, mark, None);
    let was_sent = state.claim.as_ref().is_some_and(|claim| claim.about(seed).is_some());
    Some(standing == Seed::New && !was_sent)
}

/// Whether the credential of that name is another one, or about to go.
fn is_another(context: &Context, head: &Head) -> bool {
    let Some(object) = context.credential(&head.namespace, &head.credential) else { return false };
    let meta = object.meta();
    let is_same = head.uid.is_empty() || meta.uid.as_ref() == Some(&head.uid);
    !is_same || meta.deletion_timestamp.is_some()
}

/// Notes that an exchange can't begin, since what an earlier process left of the credential is not settled.
pub fn note_left(context: &Context, credential: &OAuthCredential, problem: Problem) {
    let provider = provider::of(context, credential).ok();
    let trace = Trace::with(provider.and_then(|provider| provider.version));
    super::note(context, credential, Err(problem.clone()), Some(problem), trace);
}
