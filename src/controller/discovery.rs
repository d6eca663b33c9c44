//! What issuers publish of themselves, asked for in the background: no pass waits for it. Each document is kept for an
//! hour and then read again as long as anybody uses it; the last good one stays when that fails.

pub mod keeper;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::api::ObjectMeta;
use tokio::sync::Notify;

use crate::api::Reason;
use crate::api::provider::ProviderSpec;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::schedule::back_off;
use crate::oauth::discovery::Metadata;
use crate::oauth::tls::{Roots, Tls};

use super::index::{Name, named};

/// A document is read again after this.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// An issuer, and the authorities that vouch for its host where it has its own: who names others must not decide what
/// somebody else takes for its document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Publisher {
    issuer: String,
    ca_bundle: Option<Arc<str>>,
}

impl Publisher {
    /// That of a provider.
    pub fn of(spec: &ProviderSpec) -> Option<Self> {
        let issuer = spec.issuer.clone()?;
        Some(Self { issuer, ca_bundle: ca_bundle(spec).map(Arc::from) })
    }

    /// Whether it is that of a provider.
    pub fn is_of(&self, spec: &ProviderSpec) -> bool {
        spec.issuer.as_ref() == Some(&self.issuer) && ca_bundle(spec) == self.ca_bundle.as_deref()
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    fn tls(&self) -> Result<Tls, Problem> {
        let roots = self.ca_bundle.as_deref().map(Roots::parse).transpose();
        let roots = roots.map_err(|why| {
            Problem::new(Reason::SpecInvalid, format!("spec.provider.tls.caBundle {why}"))
        })?;
        Ok(Tls { roots, identity: None })
    }
}

fn ca_bundle(spec: &ProviderSpec) -> Option<&str> {
    spec.tls.as_ref()?.ca_bundle.as_deref()
}

/// Documents by issuer.
pub struct Discoveries {
    known: Mutex<HashMap<Publisher, Known>>,
    asks: UnboundedSender<Publisher>,
    asked: Mutex<Option<UnboundedReceiver<Publisher>>>,
}

/// What is known of an issuer.
#[derive(Default)]
struct Known {
    /// The last good document.
    metadata: Option<Arc<Metadata>>,
    /// What was wrong the last time.
    problem: Option<Problem>,
    /// How often in a row.
    failures: i64,
    /// Who looked, by namespace and UID.
    users: BTreeMap<String, HashMap<String, Name>>,
    /// Told when somebody of another namespace does.
    more: Arc<Notify>,
}

impl Known {
    fn note_user(&mut self, user: &ObjectMeta) {
        let (namespace, uid) = (user.namespace.as_deref(), user.uid.as_deref());
        let (namespace, uid) = (namespace.unwrap_or_default(), uid.unwrap_or_default());
        if let Some(of_its_namespace) = self.users.get_mut(namespace) {
            if !of_its_namespace.contains_key(uid) {
                of_its_namespace.insert(uid.to_owned(), named(user));
            }
            return;
        }
        let first = HashMap::from([(uid.to_owned(), named(user))]);
        self.users.insert(namespace.to_owned(), first);
        self.more.notify_one();
    }
}

/// Who needs to know of it.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// Nobody: it is as it was.
    Nothing,
    /// All who wait for it.
    First,
    /// All who went by the former document; not all at once.
    Changed,
}

impl Default for Discoveries {
    fn default() -> Self {
        let (asks, asked) = mpsc::unbounded();
        Self { known: Mutex::default(), asks, asked: Mutex::new(Some(asked)) }
    }
}

impl Discoveries {
    /// What an issuer publishes, or what is wrong with that; nothing when it is being asked for the first time. Who looks
    /// is told of what comes.
    pub fn look(
        &self,
        publisher: &Publisher,
        user: &ObjectMeta,
    ) -> Option<Result<Arc<Metadata>, Problem>> {
        let mut all = self.lock();
        if let Some(known) = all.get_mut(publisher) {
            known.note_user(user);
            let good = known.metadata.clone().map(Ok);
            return good.or_else(|| known.problem.clone().map(Err));
        }
        let mut known = Known::default();
        known.note_user(user);
        all.insert(publisher.clone(), known);
        // Refused only when the reader has stopped, at the end of all work.
        let _ = self.asks.unbounded_send(publisher.clone());
        None
    }

    /// The issuers that are asked for, to the first who wants them.
    fn asked(&self) -> Option<UnboundedReceiver<Publisher>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The namespaces of those who looked, and what tells that there are more.
    fn namespaces(&self, publisher: &Publisher) -> (Vec<String>, Arc<Notify>) {
        let mut known = self.lock();
        let known = known.entry(publisher.clone()).or_default();
        (known.users.keys().cloned().collect(), Arc::clone(&known.more))
    }

    /// Those who looked and still `go_by` it; the others are forgotten.
    fn users(&self, publisher: &Publisher, go_by: impl Fn(&str, &Name) -> bool) -> Vec<Name> {
        let mut known = self.lock();
        let Some(known) = known.get_mut(publisher) else { return Vec::new() };
        for users in known.users.values_mut() {
            users.retain(|uid, name| go_by(uid, name));
        }
        known.users.retain(|_, users| !users.is_empty());
        known.users.values().flat_map(HashMap::values).cloned().collect()
    }

    /// Whether any of those who looked still `goes_by` it.
    fn is_used(&self, publisher: &Publisher, goes_by: impl Fn(&str, &Name) -> bool) -> bool {
        let known = self.lock();
        let users = known.get(publisher).into_iter().flat_map(|known| known.users.values());
        users.flatten().any(|(uid, name)| goes_by(uid, name))
    }

    /// Takes in what came of asking; says when to ask again.
    fn note(&self, publisher: &Publisher, found: Result<Metadata, Problem>) -> (News, Duration) {
        let mut known = self.lock();
        let known = known.entry(publisher.clone()).or_default();
        match found {
            Ok(metadata) => {
                let news = match known.metadata.as_deref() {
                    None => News::First,
                    Some(before) if *before == metadata => News::Nothing,
                    Some(_) => News::Changed,
                };
                if news != News::Nothing {
                    known.metadata = Some(Arc::new(metadata));
                }
                (known.problem, known.failures) = (None, 0);
                (news, KEPT_FOR)
            }
            Err(problem) => {
                known.failures = known.failures.saturating_add(1);
                let wait = back_off(known.failures, publisher.issuer());
                let new = known.problem.as_ref() != Some(&problem);
                if new {
                    let (reason, why) = (problem.reason.as_str(), &problem.message);
                    tracing::warn!(
                        issuer = publisher.issuer(),
                        reason,
                        why,
                        "the issuer's document was not read"
                    );
                }
                known.problem = Some(problem);
                let told = known.metadata.is_none() && new;
                (if told { News::First } else { News::Nothing }, wait)
            }
        }
    }

    fn forget(&self, publisher: &Publisher) {
        self.lock().remove(publisher);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Publisher, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn publisher() -> Publisher {
        Publisher { issuer: ISSUER.to_owned(), ca_bundle: None }
    }

    const ISSUER: &str = "https://as.example";

    fn user(namespace: &str, uid: &str) -> ObjectMeta {
        ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(format!("c{uid}")),
            uid: Some(uid.to_owned()),
            ..ObjectMeta::default()
        }
    }

    fn metadata(token: &str) -> Metadata {
        Metadata { token_endpoint: Url::parse(token).unwrap(), mtls_token_endpoint: None }
    }

    fn failed(why: &str) -> Problem {
        Problem::new(Reason::DiscoveryFailed, why.to_owned())
    }

    #[test]
    fn an_issuer_is_asked_once_however_many_look() {
        let discoveries = Discoveries::default();
        assert!(discoveries.look(&publisher(), &user("n", "1")).is_none());
        assert!(discoveries.look(&publisher(), &user("n", "1")).is_none());
        let mut asked = discoveries.asked.lock().unwrap().take().unwrap();
        assert_eq!(asked.try_recv().ok(), Some(publisher()));
        assert!(asked.try_recv().is_err());
    }

    #[test]
    fn who_looked_is_told_as_long_as_it_goes_by_the_document() {
        let discoveries = Discoveries::default();
        for (namespace, uid) in [("n", "1"), ("n", "1"), ("n", "2"), ("m", "3")] {
            discoveries.look(&publisher(), &user(namespace, uid));
        }
        assert_eq!(discoveries.namespaces(&publisher()).0, ["m", "n"]);
        let name = |namespace: &str, uid: &str| named(&user(namespace, uid));
        let mut users = discoveries.users(&publisher(), |_, _| true);
        users.sort();
        assert_eq!(users, [name("m", "3"), name("n", "1"), name("n", "2")]);
        assert!(discoveries.is_used(&publisher(), |uid, _| uid == "3"));
        assert!(!discoveries.is_used(&publisher(), |uid, _| uid == "4"));
        assert_eq!(discoveries.users(&publisher(), |uid, _| uid == "2"), [name("n", "2")]);
        assert_eq!(discoveries.users(&publisher(), |_, _| true), [name("n", "2")]);
        assert_eq!(discoveries.namespaces(&publisher()).0, ["n"]);
    }

    #[test]
    fn the_last_good_document_is_kept_when_reading_it_again_fails() {
        let discoveries = Discoveries::default();
        let first = metadata("https://as.example/t");
        let look = || discoveries.look(&publisher(), &user("n", "1")).unwrap();
        assert_eq!(discoveries.note(&publisher(), Ok(first.clone())), (News::First, KEPT_FOR));
        let (news, wait) = discoveries.note(&publisher(), Err(failed("a")));
        assert!(news == News::Nothing && wait < KEPT_FOR, "{news:?} {wait:?}");
        assert_eq!(*look().unwrap(), first);
        assert_eq!(discoveries.note(&publisher(), Ok(first)).0, News::Nothing);
        let moved = metadata("https://as.example/u");
        assert_eq!(discoveries.note(&publisher(), Ok(moved.clone())).0, News::Changed);
        assert_eq!(*look().unwrap(), moved);
    }

    #[test]
    fn without_a_document_each_new_fault_is_told_and_the_waits_grow() {
        let discoveries = Discoveries::default();
        assert_eq!(discoveries.look(&publisher(), &user("n", "1")).map(|look| look.is_ok()), None);
        let mut last = Duration::ZERO;
        for (why, news) in
            [("a", News::First), ("a", News::Nothing), ("b", News::First), ("b", News::Nothing)]
        {
            let (told, wait) = discoveries.note(&publisher(), Err(failed(why)));
            assert!(told == news && wait > last, "{why}: {told:?} {wait:?}");
            assert_eq!(
                discoveries.look(&publisher(), &user("n", "1")).unwrap().unwrap_err().message,
                why
            );
            last = wait;
        }
        let good = metadata("https://as.example/t");
        assert_eq!(discoveries.note(&publisher(), Ok(good)), (News::First, KEPT_FOR));
        assert_eq!(discoveries.note(&publisher(), Err(failed("b"))).1, back_off(1, ISSUER));
    }
}
