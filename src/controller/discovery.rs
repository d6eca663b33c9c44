//! What issuers publish of themselves, asked for in the background: no pass waits for it. Each document is kept for an
//! hour and then read again as long as anybody uses it; the last good one stays when that fails.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::Semaphore;

use crate::api::Reason;
use crate::api::provider::ProviderSpec;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::schedule::back_off;
use crate::oauth::discovery::{Metadata, issuer as parsed, places, read, request};
use crate::oauth::error::TokenError;
use crate::oauth::tls::{Roots, Tls};

use super::context::Context;
use super::index::Name;
use super::provider::report::providers_that;

/// A document is read again after this.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Issuers asked at once.
const AT_ONCE: usize = 8;

/// An issuer, and the authorities that vouch for its host where it has its own: who names others must not decide what
/// somebody else takes for its document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Publisher {
    issuer: String,
    ca_bundle: Option<String>,
}

impl Publisher {
    /// That of a provider.
    pub fn of(spec: &ProviderSpec) -> Option<Self> {
        let issuer = spec.issuer.clone()?;
        Some(Self { issuer, ca_bundle: ca_bundle(spec).map(ToOwned::to_owned) })
    }

    /// Whether it is that of a provider.
    fn is_of(&self, spec: &ProviderSpec) -> bool {
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
    /// What an issuer publishes, or what is wrong with that; nothing when it is being asked for the first time.
    pub fn look(&self, publisher: &Publisher) -> Option<Result<Arc<Metadata>, Problem>> {
        match self.lock().entry(publisher.clone()) {
            Entry::Occupied(entry) => {
                let Known { metadata, problem, .. } = entry.get();
                let good = metadata.clone().map(Ok);
                good.or_else(|| problem.clone().map(Err))
            }
            Entry::Vacant(entry) => {
                entry.insert(Known::default());
                // Refused only when the reader has stopped, at the end of all work.
                let _ = self.asks.unbounded_send(publisher.clone());
                None
            }
        }
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
                *known = Known { metadata: Some(Arc::new(metadata)), ..Known::default() };
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

/// Reads the documents that are asked for, until the end of all work.
pub async fn run(context: Arc<Context>) {
    let asked = context.discoveries.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut asked) = asked else { return };
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(publisher) = asked.next().await {
        let (context, slots) = (Arc::clone(&context), Arc::clone(&slots));
        tokio::spawn(async move {
            let stopping = context.stopping.clone();
            stopping.run_until_cancelled(keep(&context, &publisher, &slots)).await;
        });
    }
}

/// Keeps one document as long as anybody uses it.
async fn keep(context: &Arc<Context>, publisher: &Publisher, slots: &Semaphore) {
    loop {
        let found = {
            // Never closed.
            let _slot = slots.acquire().await;
            fetch(context, publisher).await
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
        tokio::time::sleep(wait).await;
        let used_by_providers = !providers_that(context, |spec| publisher.is_of(spec)).is_empty();
        if !used_by_providers && users(context, publisher).is_empty() {
            return context.discoveries.forget(publisher);
        }
    }
}

/// The credentials that go by an issuer's document, inline or by their provider.
fn users(context: &Context, publisher: &Publisher) -> Vec<Name> {
    let providers = providers_that(context, |spec| publisher.is_of(spec));
    context.credentials_that(|credential| {
        publisher.is_of(&credential.spec.provider.inline)
            || providers.iter().any(|provider| {
                super::provider::watches::uses(credential, provider.kind, &provider.name)
            })
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
        TokenError::NotSent(_) => Reason::EndpointUnreachable,
        _ => Reason::DiscoveryFailed,
    };
    // The transport speaks of what it mostly goes to.
    let why = error.why().replace("the token endpoint", "it");
    Problem::new(reason, format!("the issuer {issuer} was not read: {why}"))
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn publisher() -> Publisher {
        Publisher { issuer: ISSUER.to_owned(), ca_bundle: None }
    }

    const ISSUER: &str = "https://as.example";

    fn metadata(token: &str) -> Metadata {
        Metadata { token_endpoint: Url::parse(token).unwrap(), mtls_token_endpoint: None }
    }

    fn failed(why: &str) -> Problem {
        Problem::new(Reason::DiscoveryFailed, why.to_owned())
    }

    #[test]
    fn an_issuer_is_asked_once_however_many_look() {
        let discoveries = Discoveries::default();
        assert!(discoveries.look(&publisher()).is_none());
        assert!(discoveries.look(&publisher()).is_none());
        let mut asked = discoveries.asked.lock().unwrap().take().unwrap();
        assert_eq!(asked.try_recv().ok(), Some(publisher()));
        assert!(asked.try_recv().is_err());
    }

    #[test]
    fn the_last_good_document_is_kept_when_reading_it_again_fails() {
        let discoveries = Discoveries::default();
        let first = metadata("https://as.example/t");
        let look = || discoveries.look(&publisher()).unwrap();
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
        assert_eq!(discoveries.look(&publisher()).map(|look| look.is_ok()), None);
        let mut last = Duration::ZERO;
        for (why, news) in
            [("a", News::First), ("a", News::Nothing), ("b", News::First), ("b", News::Nothing)]
        {
            let (told, wait) = discoveries.note(&publisher(), Err(failed(why)));
            assert!(told == news && wait > last, "{why}: {told:?} {wait:?}");
            assert_eq!(discoveries.look(&publisher()).unwrap().unwrap_err().message, why);
            last = wait;
        }
        let good = metadata("https://as.example/t");
        assert_eq!(discoveries.note(&publisher(), Ok(good)), (News::First, KEPT_FOR));
        assert_eq!(discoveries.note(&publisher(), Err(failed("b"))).1, back_off(1, ISSUER));
    }
}
