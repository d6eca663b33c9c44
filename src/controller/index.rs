//! What the watches have shown: facts of every Secret in scope, and which credentials each of them concerns.

mod holders;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::lifecycle::ownership;
use crate::lifecycle::plan::SecretFacts;
use crate::lifecycle::record::{CLAIM, CREDENTIAL, HOLDS, REFUSED_AT, REFUSED_SOURCE, Record};
use crate::lifecycle::render::TEMPLATE;

use self::holders::Holders;

/// Names of the Secrets of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References {
    /// `spec.source.name`.
    pub source: String,
    /// `spec.target.name`.
    pub target: String,
    /// Name of the state Secret.
    pub state: String,
    /// When the credential was created.
    pub created: Timestamp,
    /// Its UID.
    pub uid: String,
}

impl References {
    fn names(&self) -> [&str; 3] {
        [&self.source, &self.target, &self.state]
    }
}

/// The Secrets of one credential, and the credential that may write its target if that is another one.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The source.
    pub source: Option<Arc<SecretFacts>>,
    /// The state.
    pub state: Option<Arc<SecretFacts>>,
    /// The target.
    pub target: Option<Arc<SecretFacts>>,
    /// Another credential that had the same target first.
    pub rival: Option<String>,
}

/// Fed by the watches and by the operator's own writes, whose echo in the watch then changes nothing.
#[derive(Debug, Default)]
pub struct Index(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    namespaces: HashMap<String, Namespace>,
    holders: Holders,
}

#[derive(Debug, Default)]
struct Namespace {
    secrets: HashMap<String, Entry>,
    credentials: HashMap<String, (References, u64)>,
    by_secret: HashMap<String, Vec<String>>,
    /// Versions at which Secrets that credentials name were deleted: an older sighting is an echo.
    deleted: HashMap<String, u64>,
    /// Counts the lists of Secrets and of credentials; what a list did not show is gone.
    epochs: (u64, u64),
}

#[derive(Debug)]
struct Entry {
    facts: Arc<SecretFacts>,
    number: u64,
    epoch: u64,
}

/// A credential, by namespace and name.
pub type Name = (String, String);

/// The name of an object.
pub fn named(meta: &ObjectMeta) -> Name {
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

impl Index {
    /// Takes in a Secret and returns the credentials to look at: none when it was known already.
    pub fn saw_secret(&self, meta: &ObjectMeta) -> Vec<Name> {
        let (Some(namespace), Some(name)) = (meta.namespace.as_deref(), meta.name.as_deref())
        else {
            return Vec::new();
        };
        let number = version_number(meta);
        let mut all = self.lock();
        let Seen { namespaces, holders } = &mut *all;
        let scope = namespaces.entry(namespace.to_owned()).or_default();
        let epoch = scope.epochs.0;
        if let Some(entry) = scope.secrets.get_mut(name) {
            entry.epoch = epoch;
            if entry.number >= number {
                return Vec::new();
            }
        }
        if scope.deleted.get(name).is_some_and(|deleted| *deleted > number) {
            return Vec::new();
        }
        scope.deleted.remove(name);
        let facts = Arc::new(facts(meta));
        holders.add(namespace, &facts);
        let before = scope.secrets.insert(name.to_owned(), Entry { facts, number, epoch });
        if let Some(before) = before {
            holders.remove(namespace, &before.facts);
        }
        scope.concerned(namespace, name)
    }

    /// Takes in that a Secret is gone.
    pub fn lost_secret(&self, meta: &ObjectMeta) -> Vec<Name> {
        let (Some(namespace), Some(name)) = (meta.namespace.as_deref(), meta.name.as_deref())
        else {
            return Vec::new();
        };
        let mut all = self.lock();
        let Seen { namespaces, holders } = &mut *all;
        let Some(scope) = namespaces.get_mut(namespace) else {
            return Vec::new();
        };
        if scope.secrets.get(name).is_some_and(|entry| entry.number > version_number(meta)) {
            return Vec::new();
        }
        scope.drop_secret(namespace, name, holders);
        if scope.by_secret.contains_key(name) {
            scope.deleted.insert(name.to_owned(), version_number(meta));
        }
        scope.concerned(namespace, name)
    }

    /// Takes in that a Secret was not found, without waiting for the watch to say so.
    pub fn missed_secret(&self, namespace: &str, name: &str, uid: &str) {
        let mut all = self.lock();
        let Seen { namespaces, holders } = &mut *all;
        if let Some(scope) = namespaces.get_mut(namespace)
            && scope.secrets.get(name).is_some_and(|entry| entry.facts.uid == uid)
        {
            scope.drop_secret(namespace, name, holders);
        }
    }

    /// Takes in a credential and returns those to look at besides: they share its present or former target.
    pub fn saw_credential(&self, namespace: &str, name: &str, references: References) -> Vec<Name> {
        let mut all = self.lock();
        let scope = all.namespaces.entry(namespace.to_owned()).or_default();
        let epoch = scope.epochs.1;
        if let Some((known, seen)) = scope.credentials.get_mut(name) {
            *seen = epoch;
            if *known == references {
                return Vec::new();
            }
        }
        let mut others = scope.forget(namespace, name);
        for secret in references.names() {
            let names = scope.by_secret.entry(secret.to_owned());
            // Nearly always it stays alone.
            names.or_insert_with(|| Vec::with_capacity(1)).push(name.to_owned());
        }
        others.extend(scope.concerned(namespace, &references.target));
        scope.credentials.insert(name.to_owned(), (references, epoch));
        others.retain(|(_, other)| other != name);
        others
    }

    /// Takes in that a credential is gone and returns those that shared its target.
    pub fn lost_credential(&self, namespace: &str, name: &str) -> Vec<Name> {
        self.lock()
            .namespaces
            .get_mut(namespace)
            .map(|scope| scope.forget(namespace, name))
            .unwrap_or_default()
    }

    /// A list of Secrets begins, in one namespace or in all.
    pub fn secrets_listing(&self, namespace: Option<&str>) {
        self.each(namespace, |_, scope, _| {
            scope.epochs.0 = scope.epochs.0.saturating_add(1);
        });
    }

    /// A list of Secrets ended: what it did not show is gone.
    pub fn secrets_listed(&self, namespace: Option<&str>) -> Vec<Name> {
        let mut concerned = Vec::new();
        self.each(namespace, |namespace, scope, holders| {
            let epoch = scope.epochs.0;
            let gone = scope.secrets.iter().filter(|(_, entry)| entry.epoch < epoch);
            for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
                scope.drop_secret(namespace, &name, holders);
                concerned.extend(scope.concerned(namespace, &name));
            }
        });
        concerned
    }

    /// A list of credentials begins.
    pub fn credentials_listing(&self, namespace: Option<&str>) {
        self.each(namespace, |_, scope, _| {
            scope.epochs.1 = scope.epochs.1.saturating_add(1);
        });
    }

    /// A list of credentials ended: what it did not show is gone. Returns those that are left to look at, and the UIDs of
    /// those that are gone.
    pub fn credentials_listed(&self, namespace: Option<&str>) -> (Vec<Name>, Vec<String>) {
        let mut concerned = Vec::new();
        let mut uids = Vec::new();
        self.each(namespace, |namespace, scope, _| {
            let epoch = scope.epochs.1;
            let gone = scope.credentials.iter().filter(|(_, (_, seen))| *seen < epoch);
            let gone = gone.map(|(name, (references, _))| (name.clone(), references.uid.clone()));
            for (name, uid) in gone.collect::<Vec<_>>() {
                concerned.extend(scope.forget(namespace, &name));
                uids.push(uid);
            }
        });
        (concerned, uids)
    }

    /// All that concerns a credential.
    pub fn sight(&self, namespace: &str, name: &str) -> Sight {
        let all = self.lock();
        let Some(scope) = all.namespaces.get(namespace) else {
            return Sight::default();
        };
        let Some((references, _)) = scope.credentials.get(name) else {
            return Sight::default();
        };
        let facts = |secret: &str| scope.secrets.get(secret).map(|entry| Arc::clone(&entry.facts));
        Sight {
            source: facts(&references.source),
            state: facts(&references.state),
            target: facts(&references.target),
            rival: scope
                .winner(&references.target)
                .filter(|winner| *winner != name)
                .map(ToOwned::to_owned),
        }
    }

    /// Every credential.
    pub fn credentials(&self) -> Vec<Name> {
        let all = self.lock();
        let names = all.namespaces.iter().flat_map(|(namespace, scope)| {
            scope.credentials.keys().map(|name| (namespace.clone(), name.clone()))
        });
        names.collect()
    }

    /// Another credential whose state holds a refresh token of one of these names. Where two hold it, the first by name
    /// is the holder.
    pub fn holder_of(&self, tokens: &[String], name: &Name) -> Option<Name> {
        let all = self.lock();
        let first = all.holders.first_of(tokens)?;
        (first != name).then(|| first.clone())
    }

    fn each(
        &self,
        namespace: Option<&str>,
        mut act: impl FnMut(&str, &mut Namespace, &mut Holders),
    ) {
        let mut all = self.lock();
        let Seen { namespaces, holders } = &mut *all;
        match namespace {
            Some(namespace) => {
                act(namespace, namespaces.entry(namespace.to_owned()).or_default(), holders);
            }
            None => {
                for (namespace, scope) in namespaces.iter_mut() {
                    act(namespace, scope, holders);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Namespace {
    fn drop_secret(&mut self, namespace: &str, name: &str, holders: &mut Holders) {
        if let Some(gone) = self.secrets.remove(name) {
            holders.remove(namespace, &gone.facts);
        }
    }

    fn concerned(&self, namespace: &str, secret: &str) -> Vec<Name> {
        let names = self.by_secret.get(secret).into_iter().flatten();
        names.map(|name| (namespace.to_owned(), name.clone())).collect()
    }

    fn forget(&mut self, namespace: &str, name: &str) -> Vec<Name> {
        let Some((references, _)) = self.credentials.remove(name) else {
            return Vec::new();
        };
        for secret in references.names() {
            if let Some(names) = self.by_secret.get_mut(secret) {
                names.retain(|other| other != name);
                if names.is_empty() {
                    self.by_secret.remove(secret);
                    self.deleted.remove(secret);
                }
            }
        }
        self.concerned(namespace, &references.target)
    }

    /// The credential a target was made for keeps it; only a new target goes to the oldest.
    fn winner(&self, target: &str) -> Option<&str> {
        let holder = self.secrets.get(target).and_then(|entry| entry.facts.credential.as_deref());
        let held = holder.and_then(|name| self.credentials.get_key_value(name));
        if let Some((name, _)) = held.filter(|(_, (references, _))| references.target == target) {
            return Some(name);
        }
        let candidates = self.by_secret.get(target).into_iter().flatten().filter_map(|name| {
            let (references, _) = self.credentials.get(name)?;
            (references.target == target).then_some((references.created, name.as_str()))
        });
        ownership::winner(candidates)
    }
}

/// What is kept of a Secret's metadata.
pub fn facts(meta: &ObjectMeta) -> SecretFacts {
    let annotation =
        |key: &str| meta.annotations.as_ref().and_then(|annotations| annotations.get(key)).cloned();
    let credential = annotation(CREDENTIAL);
    let ours = credential.is_some();
    let fields = if ours {
        ownership::written_by_us(meta.managed_fields.as_deref().unwrap_or_default())
    } else {
        ownership::Fields::new()
    };
    let record = meta.annotations.as_ref().filter(|_| ours).and_then(Record::from_annotations);
    let record = record.map(Box::new);
    let holds = annotation(HOLDS);
    SecretFacts {
        edited: holds.is_some() && record.is_some() && !fields.contains("data/record"),
        uid: meta.uid.clone().unwrap_or_default(),
        version: meta.resource_version.clone().unwrap_or_default(),
        created: meta.creation_timestamp.as_ref().map(|created| created.0),
        record,
        template: annotation(TEMPLATE),
        fields: if ours { ownership::fingerprint(&fields) } else { 0 },
        refused_source: annotation(REFUSED_SOURCE),
        refused_at: annotation(REFUSED_AT).and_then(|time| time.parse().ok()),
        claim: annotation(CLAIM).and_then(|claim| serde_json::from_str(&claim).ok()),
        holds,
        credential,
    }
}

/// Versions of one kind of object grow with each write, in every Kubernetes that stores them in etcd.
fn version_number(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn secret(name: &str, version: &str) -> ObjectMeta {
        ObjectMeta {
            namespace: Some("n".into()),
            name: Some(name.into()),
            resource_version: Some(version.into()),
            uid: Some("u".into()),
            ..Default::default()
        }
    }

    fn references(target: &str, second: i64) -> References {
        References {
            source: "s".into(),
            target: target.into(),
            state: "st".into(),
            created: Timestamp::from_second(second).unwrap(),
            uid: String::new(),
        }
    }

    fn name(name: &str) -> Name {
        ("n".into(), name.into())
    }

    #[test]
    fn a_secret_wakes_its_credentials_once() {
        let index = Index::default();
        index.saw_credential("n", "c", references("t", 1));
        assert_eq!(index.saw_secret(&secret("t", "5")), [name("c")]);
        assert_eq!(index.saw_secret(&secret("t", "5")), []);
        assert_eq!(index.saw_secret(&secret("t", "4")), []);
        assert_eq!(index.saw_secret(&secret("other", "6")), []);
        assert_eq!(index.lost_secret(&secret("t", "7")), [name("c")]);
        assert!(index.sight("n", "c").target.is_none());
        assert_eq!(index.saw_secret(&secret("t", "6")), [], "an echo from before the deletion");
        assert_eq!(index.saw_secret(&secret("t", "8")), [name("c")]);
    }

    #[test]
    fn a_token_held_by_two_credentials_is_seen() {
        let index = Index::default();
        let state = |credential: &str, version: &str, holds: &str| ObjectMeta {
            annotations: Some(BTreeMap::from([
                (CREDENTIAL.to_owned(), credential.to_owned()),
                (HOLDS.to_owned(), holds.to_owned()),
            ])),
            ..secret(&format!("{credential}-oauth-state"), version)
        };
        let holder = |token: &str, of: &str| index.holder_of(&[token.to_owned()], &name(of));
        index.saw_secret(&state("a", "5", "t1"));
        assert_eq!(holder("t1", "a"), None);
        assert_eq!(holder("t1", "b"), Some(name("a")));
        index.saw_secret(&state("a", "6", "t2"));
        assert_eq!((holder("t1", "b"), holder("t2", "b")), (None, Some(name("a"))));
        index.saw_secret(&state("b", "7", "t2"));
        assert_eq!((holder("t2", "a"), holder("t2", "b")), (None, Some(name("a"))));
        index.lost_secret(&state("a", "8", "t2"));
        assert_eq!(holder("t2", "b"), None);
    }

    #[test]
    fn an_echo_older_than_our_own_write_is_ignored() {
        let index = Index::default();
        index.saw_credential("n", "c", references("t", 1));
        index.saw_secret(&secret("t", "9"));
        assert_eq!(index.lost_secret(&secret("t", "8")), []);
        assert!(index.sight("n", "c").target.is_some());
    }

    #[test]
    fn what_a_list_does_not_show_is_gone() {
        let index = Index::default();
        index.saw_credential("n", "c", references("t", 1));
        index.saw_secret(&secret("s", "1"));
        index.saw_secret(&secret("t", "2"));
        index.secrets_listing(None);
        index.saw_secret(&secret("s", "1"));
        assert_eq!(index.secrets_listed(None), [name("c")]);
        let sight = index.sight("n", "c");
        assert!(sight.source.is_some() && sight.target.is_none());
    }

    #[test]
    fn who_has_a_target_keeps_it_against_an_older_one_that_comes_later() {
        let index = Index::default();
        index.saw_credential("n", "young", references("t", 2));
        let owner = BTreeMap::from([(CREDENTIAL.to_owned(), "young".to_owned())]);
        index.saw_secret(&ObjectMeta { annotations: Some(owner), ..secret("t", "5") });
        index.saw_credential("n", "old", references("t", 1));
        assert_eq!(index.sight("n", "young").rival, None);
        assert_eq!(index.sight("n", "old").rival.as_deref(), Some("young"));
    }

    #[test]
    fn the_younger_of_two_credentials_has_a_rival_until_the_older_is_gone() {
        let index = Index::default();
        index.saw_credential("n", "old", references("t", 1));
        assert_eq!(index.saw_credential("n", "young", references("t", 2)), [name("old")]);
        assert_eq!(index.sight("n", "young").rival.as_deref(), Some("old"));
        assert_eq!(index.sight("n", "old").rival, None);
        assert_eq!(index.lost_credential("n", "old"), [name("young")]);
        assert_eq!(index.sight("n", "young").rival, None);
    }
}
