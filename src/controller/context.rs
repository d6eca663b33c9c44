//! What every pass needs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::{Client, Resource as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::api::OAuthCredential;
use crate::clock::{Clock, since_boot};
use crate::lifecycle::rotation::claim::{Holder, SEND_WITHIN};
use crate::lifecycle::rotation::invariants::Invariant;
use crate::metrics::Metrics;
use crate::oauth::address::AddressPolicy;
use crate::oauth::fingerprint::fingerprint;
use crate::oauth::jwt::Stamp;
use crate::oauth::transport::{SendGuard, Transport};

use super::discovery::Discoveries;
use super::events::Events;
use super::home::Homes;
use super::index::{Index, Name, named};
use super::journal::Journal;
use super::notes::Notes;
use super::pace::in_steps;
use super::provider::checked::Checked;
use super::provider::subjects::Reports;
use super::scope::{Guarded, Scope};
use super::secrets::Secrets;
use super::slots::Slots;
use super::state::Place;
use super::turns::Turns;

/// In an order that is always the same for the same names and has nothing to do with them.
fn spread(mut names: Vec<Name>) -> Vec<Name> {
    names.sort_by_cached_key(|(namespace, name)| fingerprint(b"spread", &[namespace, name]));
    names
}

/// A time in which nobody else can have become the leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// Counts the changes of leader; 0 without leader election.
    pub number: i64,
    /// When it ends, in time since the machine started.
    pub until: Duration,
}

/// What every pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Secrets, live.
    pub secrets: Secrets,
    /// The way to token endpoints.
    pub transport: Transport,
    /// What the transport allows, to say so before trying.
    pub policy: AddressPolicy,
    /// What the watches have shown.
    pub index: Index,
    /// What the process remembers.
    pub notes: Notes,
    /// Where it is.
    pub homes: Homes,
    /// Probes under way at once: after a start all that were found are due.
    pub probes: Turns,
    /// What time it is.
    pub clock: Clock,
    /// Events on transitions.
    pub events: Events,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The raw answers of exchanges that are not committed yet.
    pub journal: Option<Journal>,
    /// This process.
    pub holder: Holder,
    /// Exchanges that run beside the passes and are awaited at the end.
    pub exchanges: TaskTracker,
    /// How many of them at once.
    pub slots: Slots,
    /// Until when token requests may be sent: as long as nobody else can have become the leader.
    pub term: watch::Receiver<Term>,
    /// The end of all work.
    pub stopping: CancellationToken,
    /// What is watched.
    pub scopes: Vec<Scope>,
    /// What issuers publish.
    pub discoveries: Discoveries,
    /// The providers that are objects of their own, as they were checked.
    pub checked: Checked,
    /// The providers whose status is to be looked at.
    pub reports: Reports,
}

impl Context {
    /// Asks for a pass over a credential.
    pub fn wake(&self, namespace: &str, name: &str) {
        for scope in self.scopes.iter().filter(|scope| scope.covers(namespace)) {
            scope.wake(namespace, name);
        }
    }

    /// A credential as the watch has shown it last.
    pub fn credential(&self, namespace: &str, name: &str) -> Option<Arc<Guarded>> {
        let mut scopes = self.scopes.iter().filter(|scope| scope.covers(namespace));
        scopes.find_map(|scope| scope.credential(namespace, name))
    }

    /// Asks for passes over all of these but the one whose write made them of interest.
    pub fn wake_others(&self, names: Vec<Name>, credential: &OAuthCredential) {
        let meta = &credential.metadata;
        let own = |(namespace, name): &Name| {
            meta.namespace.as_ref() == Some(namespace) && meta.name.as_ref() == Some(name)
        };
        self.wake_all(names.into_iter().filter(|name| !own(name)).collect());
    }

    /// The `resourceVersion` of a credential's source as the watch has shown it.
    pub fn source_version(&self, credential: &OAuthCredential) -> Option<String> {
        let meta = &credential.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let sight = self.index.sight(namespace, meta.name.as_deref().unwrap_or_default());
        sight.source.map(|source| source.version.clone())
    }

    /// Asks for passes over several credentials.
    pub fn wake_all(&self, names: Vec<Name>) {
        for (namespace, name) in names {
            self.wake(&namespace, &name);
        }
    }

    /// Asks for passes over credentials whose provider changed, spread over time: one edit may concern thousands, and
    /// each may lead to a token request.
    pub fn wake_spread(self: &Arc<Self>, names: Vec<Name>) {
        let context = Arc::clone(self);
        tokio::spawn(async move {
            let stopping = context.stopping.clone();
            let mut names = spread(names).into_iter();
            let waking = in_steps(|most| {
                context.wake_all(names.by_ref().take(most).collect());
                names.len() > 0
            });
            stopping.run_until_cancelled(waking).await;
        });
    }

    /// The credentials that satisfy this, as the watches have shown them.
    pub fn credentials_that(&self, holds: impl Fn(&OAuthCredential) -> bool) -> Vec<Name> {
        let objects = self.scopes.iter().flat_map(Scope::credentials);
        let concerned = objects.filter(|object| object.0.as_ref().is_ok_and(&holds));
        concerned.map(|object| named(object.meta())).collect()
    }

    /// Says that an invariant did not hold.
    pub fn violated(&self, invariant: Invariant, state: &Place) {
        let Place { namespace, name, .. } = state;
        let invariant_name = invariant.as_str();
        tracing::error!(
            namespace,
            state = name,
            invariant = invariant_name,
            "an invariant does not hold; this is a defect of oauth-keeper"
        );
        self.metrics.violated(invariant);
    }

    /// What makes a token that is signed now unlike any other.
    pub fn stamp(&self) -> Stamp {
        Stamp { now: self.clock.now(), id: Uuid::new_v4().to_string() }
    }

    /// Whether a token request may go out now.
    pub fn may_send(&self) -> bool {
        since_boot() < self.term.borrow().until && !self.stopping.is_cancelled()
    }

    /// Says, when it is asked, whether a token may still be sent that was claimed in this term at that time since boot:
    /// before `last`, where sending it again is harmless only so long.
    pub fn send_guard(&self, term: i64, claimed: Duration, last: Option<Timestamp>) -> SendGuard {
        let (now, stopping, clock) = (self.term.clone(), self.stopping.clone(), self.clock);
        Arc::new(move || {
            let Term { number, until } = *now.borrow();
            number == term
                && since_boot() < until.min(claimed.saturating_add(SEND_WITHIN))
                && last.is_none_or(|last| clock.now() < last)
                && !stopping.is_cancelled()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_looked_at_in_an_order_of_their_own_and_each_once() {
        let names: Vec<Name> = (0..45).map(|n| ("n".to_owned(), format!("c{n}"))).collect();
        let mut all = spread(names.clone());
        assert_ne!(all, names, "not in the order of names");
        assert_eq!(all, spread(names.iter().rev().cloned().collect()));
        all.sort();
        let mut names = names;
        names.sort();
        assert_eq!(all, names);
        assert!(spread(Vec::new()).is_empty());
    }
}
