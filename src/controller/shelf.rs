//! Objects of one kind as their watch has shown them, kept whole: for kinds of which there are few.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};

use super::index::{Name, named};
use super::watch_error::refusal;

/// What is known of the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing yet.
    Awaited,
    /// They were listed.
    Listed,
    /// They can't be, for this reason.
    Unlisted(&'static str),
}

/// What is known of one object.
pub enum Sighting<K> {
    /// The list has not come yet.
    Awaited,
    /// As last seen.
    Found(Arc<K>),
    /// There is none.
    Missing,
    /// The kind can't be listed, for this reason.
    Unlisted(&'static str),
}

/// The objects, as those see them that look for one.
pub struct Shelf<K: Resource<DynamicType = ()> + Clone + 'static> {
    store: Store<K>,
    standing: Arc<Mutex<Standing>>,
}

/// The objects, as their watch sees them.
pub struct Supply<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    standing: Arc<Mutex<Standing>>,
}

/// What a watch tells of.
pub enum News {
    /// All were listed for the first time.
    First,
    /// This one was among them.
    Shown(Name),
    /// One is new, changed in what matters, or gone. The namespace is empty for kinds without one.
    Changed(Name),
    /// The kind can't be listed; said once.
    Unlisted,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Shelf<K> {
    /// An empty one.
    pub fn new() -> (Self, Supply<K>) {
        let (store, writer) = reflector::store();
        let standing = Arc::new(Mutex::new(Standing::Awaited));
        (Self { store, standing: Arc::clone(&standing) }, Supply { writer, standing })
    }

    /// Looks for one.
    pub fn find(&self, key: &ObjectRef<K>) -> Sighting<K> {
        if let Some(object) = self.store.get(key) {
            return Sighting::Found(object);
        }
        match *self.standing.lock().unwrap_or_else(PoisonError::into_inner) {
            Standing::Awaited => Sighting::Awaited,
            Standing::Listed => Sighting::Missing,
            Standing::Unlisted(why) => Sighting::Unlisted(why),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }
}

impl<K> Supply<K>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + std::fmt::Debug + 'static,
{
    /// Fills the shelf and tells of what changes. `mark` is what matters of an object.
    pub async fn fill<M: PartialEq + Send>(
        self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
        mark: impl Fn(&K) -> M + Send,
        mut tell: impl FnMut(News) + Send,
    ) {
        let Self { writer, standing } = self;
        let set = |now: Standing| -> Standing {
            std::mem::replace(&mut *standing.lock().unwrap_or_else(PoisonError::into_inner), now)
        };
        let (mut seen, mut listing) = (HashMap::new(), HashMap::new());
        let mut said = None;
        let mut events = std::pin::pin!(reflector::reflector(writer, events));
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listing.clear(),
                Ok(Event::InitApply(object)) => {
                    listing.insert(named(object.meta()), mark(&object));
                }
                Ok(Event::InitDone) => {
                    let listed = std::mem::take(&mut listing);
                    let first = set(Standing::Listed) != Standing::Listed;
                    if first {
                        tell(News::First);
                    }
                    let news = if first { News::Shown } else { News::Changed };
                    changed(&seen, &listed).into_iter().map(news).for_each(&mut tell);
                    seen = listed;
                }
                Ok(Event::Apply(object)) => {
                    let (name, new) = (named(object.meta()), mark(&object));
                    if seen.get(&name) != Some(&new) {
                        seen.insert(name.clone(), new);
                        tell(News::Changed(name));
                    }
                }
                Ok(Event::Delete(object)) => {
                    let name = named(object.meta());
                    seen.remove(&name);
                    tell(News::Changed(name));
                }
                Err(error) => {
                    let (kind, hint) = (K::kind(&()), hint(&error));
                    // Said once: a kind that nobody uses may stay away for good.
                    if hint.is_some() && hint != said {
                        tracing::warn!(%error, %kind, hint, "watch failed; it is begun again, and only who uses this kind waits");
                        said = hint;
                    } else {
                        tracing::debug!(%error, %kind, "watch failed; it is begun again");
                    }
                    let Some(why) = hint else { continue };
                    // What was listed once stays good to go by.
                    let before = set(Standing::Unlisted(why));
                    if before == Standing::Listed {
                        set(before);
                    } else if before != Standing::Unlisted(why) {
                        tell(News::Unlisted);
                    }
                }
            }
        }
    }
}

/// Names that one has and the other has not, or not alike.
fn changed<M: PartialEq>(before: &HashMap<Name, M>, now: &HashMap<Name, M>) -> Vec<Name> {
    let differ = |(name, mark): &(&Name, &M)| before.get(*name) != Some(*mark);
    let new = now.iter().filter(differ).map(|(name, _)| name.clone());
    let gone = before.keys().filter(|name| !now.contains_key(*name)).cloned();
    new.chain(gone).collect()
}

/// Why a kind can't be listed, where waiting does not mend it.
fn hint(error: &watcher::Error) -> Option<&'static str> {
    match refusal(error)? {
        403 => Some("the operator may not list them; the chart's roles have this right"),
        404 => Some(
            "their CustomResourceDefinition is not installed; install it with the chart or from `oauth-keeper crd`",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use k8s_openapi::api::core::v1::Namespace;
    use kube::core::Status;

    use super::*;

    fn object(name: &str, mark: &str) -> Namespace {
        serde_json::from_value(
            serde_json::json!({"metadata": {"name": name, "generateName": mark}}),
        )
        .unwrap()
    }

    fn refused(code: u16) -> watcher::Error {
        watcher::Error::InitialListFailed(kube::Error::Api(Box::new(Status {
            code,
            ..Status::default()
        })))
    }

    /// What is told, in a word each, and the shelf as it is left.
    async fn told(
        events: Vec<watcher::Result<Event<Namespace>>>,
    ) -> (Vec<String>, Shelf<Namespace>) {
        let (shelf, supply) = Shelf::new();
        let mut told = Vec::new();
        let mark = |object: &Namespace| object.metadata.generate_name.clone();
        supply
            .fill(stream::iter(events), mark, |news| {
                told.push(match news {
                    News::First => "first".to_owned(),
                    News::Changed((_, name)) => name,
                    News::Shown((_, name)) => format!("shown {name}"),
                    News::Unlisted => "unlisted".to_owned(),
                });
            })
            .await;
        (told, shelf)
    }

    #[tokio::test]
    async fn changes_of_what_matters_are_told_once() {
        let (told, shelf) = told(vec![
            Ok(Event::Init),
            Ok(Event::InitApply(object("a", "1"))),
            Ok(Event::InitDone),
            Ok(Event::Apply(object("a", "1"))),
            Ok(Event::Apply(object("a", "2"))),
            Ok(Event::Apply(object("b", "1"))),
            Err(refused(404)),
            Ok(Event::Init),
            Ok(Event::InitApply(object("a", "2"))),
            Ok(Event::InitDone),
            Ok(Event::Delete(object("a", "2"))),
        ])
        .await;
        assert_eq!(told, ["first", "shown a", "a", "b", "b", "a"]);
        assert!(matches!(shelf.find(&ObjectRef::new("a")), Sighting::Missing));
    }

    #[tokio::test]
    async fn a_kind_that_can_t_be_listed_is_told_once_and_waited_for() {
        let passing = Err(watcher::Error::NoResourceVersion);
        let (told_, shelf) = told(vec![passing]).await;
        assert!(told_.is_empty() && matches!(shelf.find(&ObjectRef::new("a")), Sighting::Awaited));
        let (told_, shelf) = told(vec![Err(refused(404)), Err(refused(404))]).await;
        assert_eq!(told_, ["unlisted"]);
        assert!(matches!(shelf.find(&ObjectRef::new("a")), Sighting::Unlisted(_)));
        let events = vec![Err(refused(403)), Ok(Event::Init), Ok(Event::InitDone)];
        let (told_, shelf) = told(events).await;
        assert_eq!(told_, ["unlisted", "first"]);
        assert!(matches!(shelf.find(&ObjectRef::new("a")), Sighting::Missing));
    }
}
