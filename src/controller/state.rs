//! Reads and writes of the state Secret: the record, and the claim while a token is being spent.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{CREDENTIAL, REFUSED_SOURCE, StateRecord};
use crate::lifecycle::render::MANAGED_BY;
use crate::lifecycle::rotation::{Claim, RefusedSeed, may_commit};

use super::context::Context;
use super::secrets::{Secrets, WriteError};
use super::target::{belongs_to, owner};

/// The type of state Secrets.
pub const STATE_TYPE: &str = "oauth-keeper.dev/state";
const RECORD: &str = "record";
const CLAIM: &str = "claim";
const REFUSED: &str = "refused";
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Name of the state Secret of a credential.
pub fn name(credential: &str) -> String {
    format!("{credential}-oauth-state")
}

/// A state as read live, or after our own write.
#[derive(Clone, Debug, Default)]
pub struct State {
    uid: String,
    version: String,
    /// The record, unless no exchange was ever committed.
    pub record: Option<StateRecord>,
    /// The claim, while a token is being spent.
    pub claim: Option<Claim>,
    /// The seed whose lineage is dead, if one is.
    pub refused: Option<RefusedSeed>,
}

impl State {
    /// Whether a record is in it already: written by us, with a reply that was lost.
    fn holds(&self, record: &StateRecord) -> bool {
        self.record.as_ref().is_some_and(|stored| encode(stored) == encode(record))
    }

    /// The generation that a result must still find.
    pub fn generation(&self) -> i64 {
        self.record.as_ref().map_or(0, |record| record.generation)
    }
}

/// Where the state of a credential is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Namespace.
    pub namespace: String,
    /// Name of the state Secret.
    pub name: String,
}

impl Place {
    /// Of a credential.
    pub fn of(credential: &OAuthCredential) -> Self {
        Self {
            namespace: credential.metadata.namespace.clone().unwrap_or_default(),
            name: name(credential.metadata.name.as_deref().unwrap_or_default()),
        }
    }
}

/// Reads the state live; `None` when there is none.
///
/// # Errors
/// `StateInvalid` when it is not a state of this credential or can't be read, `StateNotWritable` when the API server fails.
pub async fn read(
    context: &Context,
    credential: &OAuthCredential,
) -> Result<Option<State>, Problem> {
    let place = Place::of(credential);
    let secret = context.secrets.get(&place.namespace, &place.name).await;
    let Some(secret) = secret.map_err(|error| unwritable(&place, &error))? else {
        return Ok(None);
    };
    if secret.type_.as_deref() != Some(STATE_TYPE) || !belongs_to(&secret.metadata, credential) {
        let message = format!(
            "the Secret {} is not a state that oauth-keeper made for this credential",
            place.name
        );
        return Err(Problem::new(Reason::StateInvalid, message));
    }
    parse(&secret, &place).map(Some)
}

fn parse(secret: &Secret, place: &Place) -> Result<State, Problem> {
    let data = secret.data.as_ref();
    let value = |key: &str| data.and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    let record = value(RECORD).map(|bytes| StateRecord::parse(bytes, &place.name)).transpose()?;
    let claim = mark(value(CLAIM), CLAIM, place)?;
    let refused = mark(value(REFUSED), REFUSED, place)?;
    Ok(State {
        uid: secret.metadata.uid.clone().unwrap_or_default(),
        version: secret.metadata.resource_version.clone().unwrap_or_default(),
        record,
        claim,
        refused,
    })
}

/// Reads what stands beside the record.
fn mark<T: DeserializeOwned>(
    bytes: Option<&[u8]>,
    key: &str,
    place: &Place,
) -> Result<Option<T>, Problem> {
    bytes.map(serde_json::from_slice).transpose().map_err(|_| {
        let message = format!("the {key} in the state Secret {} can't be read", place.name);
        Problem::new(Reason::StateInvalid, message)
    })
}

/// Writes the claim, if the state is still as it was read. Returns the state as it is now.
///
/// # Errors
/// Whatever kept it from being written; nothing must be sent then.
pub async fn claim(
    context: &Context,
    credential: &OAuthCredential,
    read: Option<&State>,
    claim: Claim,
) -> Result<State, WriteError> {
    let place = Place::of(credential);
    let meta = match read {
        None => {
            let secret = new_secret(
                &Owner::of(credential),
                &place.name,
                BTreeMap::from([(CLAIM, encode(&claim))]),
            );
            context.secrets.create(&place.namespace, &secret).await?
        }
        Some(read) => {
            let patch = json!({"metadata": metadata(read, &Owner::of(credential), &Map::new()), "data": {CLAIM: encode(&claim)}});
            context.secrets.patch(&place.namespace, &place.name, &patch).await?
        }
    };
    context.wake_others(context.index.saw_secret(&meta), credential);
    Ok(State {
        record: read.and_then(|read| read.record.clone()),
        refused: read.and_then(|read| read.refused.clone()),
        claim: Some(claim),
        ..State::at(&meta)
    })
}

/// Writes the annotations of a record anew, where somebody made them say something else.
pub async fn mend(
    context: &Context,
    credential: &OAuthCredential,
    read: &State,
    record: &StateRecord,
) {
    let place = Place::of(credential);
    let annotations = record.header().to_annotations();
    let patch = json!({"metadata": metadata(read, &Owner::of(credential), &annotations)});
    match context.secrets.patch(&place.namespace, &place.name, &patch).await {
        Ok(meta) => context.wake_others(context.index.saw_secret(&meta), credential),
        Err(error) => {
            tracing::warn!(namespace = place.namespace, state = place.name, %error, "annotations not mended");
        }
    }
}

/// What becomes of a claim whose exchange brought no token set.
#[derive(Clone, Debug)]
pub enum Release {
    /// The refresh token is as good as before.
    Kept,
    /// The authorization server called it dead.
    Refused {
        /// Its seed.
        seed: RefusedSeed,
        /// `resourceVersion` of the source with the seed.
        source_version: String,
    },
}

/// Takes the claim away, as far as the state is still as we left it.
pub async fn release(
    context: &Context,
    credential: &OAuthCredential,
    claimed: &State,
    release: &Release,
) {
    let place = Place::of(credential);
    let mut data = Map::from_iter([(CLAIM.to_owned(), Value::Null)]);
    let mut annotations = Map::new();
    if let Release::Refused { seed, source_version } = release {
        annotations.insert(REFUSED_SOURCE.to_owned(), json!(source_version));
        data.insert(REFUSED.to_owned(), json!(encode(seed)));
    }
    let patch =
        json!({"metadata": metadata(claimed, &Owner::of(credential), &annotations), "data": data});
    match context.secrets.patch(&place.namespace, &place.name, &patch).await {
        Ok(meta) => {
            context.wake_others(context.index.saw_secret(&meta), credential);
        }
        // The claim of an exchange that is over hinders nobody in this process, and others only for two minutes.
        Err(error) => {
            tracing::warn!(namespace = place.namespace, state = place.name, %error, "claim not released");
        }
    }
}

/// Writes a record, whatever it takes: tries until it is written, for ever, and rebases on what others wrote as long as
/// nobody else committed. Nothing may cancel this. Returns the metadata as written; `None` when there was nowhere to write.
pub async fn commit(
    secrets: &Secrets,
    place: &Place,
    owner: &Owner,
    mut base: State,
    record: &StateRecord,
) -> Option<ObjectMeta> {
    let (namespace, state) = (&place.namespace, &place.name);
    let base_generation = base.generation();
    let mut wait = FIRST_RETRY;
    loop {
        match write(secrets, place, owner, &base, record).await {
            Ok(meta) => return Some(meta),
            Err(WriteError::NamespaceGone) => {
                tracing::error!(namespace, state, "the namespace is gone, and this result with it");
                return None;
            }
            Err(WriteError::Conflict | WriteError::NotFound) => {
                match reread(secrets, place).await {
                    Ok(found) if found.holds(record) => return None,
                    Ok(found) if !may_commit(found.record.as_ref(), base_generation) => {
                        tracing::error!(
                            namespace,
                            state,
                            "another process committed first; this result is dropped"
                        );
                        return None;
                    }
                    Ok(found) => base = found,
                    Err(error) => {
                        tracing::warn!(namespace, state, %error, "state not read; trying again");
                    }
                }
            }
            Err(error) => {
                tracing::error!(namespace, state, %error, "result not committed yet; trying again");
            }
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LAST_RETRY);
    }
}

/// What a state Secret needs to be made anew when it was deleted during an exchange.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Name of the credential.
    pub credential: String,
    /// Its owner reference.
    pub reference: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>,
}

impl Owner {
    /// Of a credential.
    pub fn of(credential: &OAuthCredential) -> Self {
        Self {
            credential: credential.metadata.name.clone().unwrap_or_default(),
            reference: owner(credential),
        }
    }
}

async fn write(
    secrets: &Secrets,
    place: &Place,
    owner: &Owner,
    base: &State,
    record: &StateRecord,
) -> Result<ObjectMeta, WriteError> {
    let mut annotations = record.header().to_annotations();
    annotations.insert(REFUSED_SOURCE.to_owned(), None);
    if base.uid.is_empty() {
        let mut secret = new_secret(owner, &place.name, BTreeMap::from([(RECORD, encode(record))]));
        let given = annotations.into_iter().filter_map(|(key, value)| Some((key, value?)));
        secret.metadata.annotations.get_or_insert_default().extend(given);
        return secrets.create(&place.namespace, &secret).await;
    }
    let metadata = metadata(base, owner, &annotations);
    let patch =
        json!({"metadata": metadata, "data": {RECORD: encode(record), CLAIM: null, REFUSED: null}});
    secrets.patch(&place.namespace, &place.name, &patch).await
}

/// Reads the state until the API server answers, for the journal; an absent or unreadable one is as good as none.
pub async fn read_for_replay(secrets: &Secrets, place: &Place) -> State {
    loop {
        match reread(secrets, place).await {
            Ok(state) => return state,
            Err(error) => {
                tracing::warn!(namespace = place.namespace, state = place.name, %error, "state not read; trying again");
            }
        }
        tokio::time::sleep(LAST_RETRY).await;
    }
}

async fn reread(secrets: &Secrets, place: &Place) -> Result<State, WriteError> {
    let Some(secret) = secrets.get(&place.namespace, &place.name).await? else {
        return Ok(State::default());
    };
    // A record that can't be read holds no newer token; ours is the only one that is known.
    Ok(parse(&secret, place).unwrap_or_else(|_| State {
        record: None,
        claim: None,
        ..State::at(&secret.metadata)
    }))
}

impl State {
    fn at(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// Annotations to write, under the precondition that the state is as it was read. The owner is written along: a
/// credential that was made anew takes over the state of its predecessor.
fn metadata(state: &State, owner: &Owner, annotations: &impl Serialize) -> Value {
    let owners: Vec<_> = owner.reference.iter().collect();
    json!({
        "resourceVersion": state.version, "uid": state.uid,
        "annotations": annotations, "ownerReferences": owners,
    })
}

fn encode(value: &impl Serialize) -> ByteString {
    // Records and claims hold nothing that can't be written as JSON.
    ByteString(serde_json::to_vec(value).unwrap_or_default())
}

fn new_secret(owner: &Owner, name: &str, data: BTreeMap<&str, ByteString>) -> Secret {
    let labels = BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())]);
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels),
            annotations: Some(BTreeMap::from([(CREDENTIAL.to_owned(), owner.credential.clone())])),
            owner_references: owner.reference.clone().map(|reference| vec![reference]),
            ..ObjectMeta::default()
        },
        type_: Some(STATE_TYPE.to_owned()),
        data: Some(data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ..Secret::default()
    }
}

/// A failure of the API server around the state.
pub fn unwritable(place: &Place, error: &WriteError) -> Problem {
    Problem::new(
        Reason::StateNotWritable,
        format!("the state Secret {} can't be read or written: {error}", place.name),
    )
}
