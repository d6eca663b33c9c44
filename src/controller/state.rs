//! Reads and writes of the state Secret: the record, the claim while a token is being spent, and the mark of a dead lineage.

mod place;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::api::Reason;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{
    self, CREDENTIAL, HOLDS, REFUSED_AT, REFUSED_SOURCE, StateRecord, lineage_of,
};
use crate::lifecycle::render::MANAGED_BY;
use crate::lifecycle::rotation::choice::RefusedSeed;
use crate::lifecycle::rotation::claim::Claim;
use crate::oauth::secret::RefreshToken;

use super::secrets::{Secrets, WriteError};

pub use self::place::{Place, name};

/// The type of state Secrets.
pub const STATE_TYPE: &str = "oauth-keeper.dev/state";
const RECORD: &str = "record";
const CLAIM: &str = "claim";
const REFUSED: &str = "refused";
/// Between two tries of a write that must be made, growing.
pub const FIRST_RETRY: Duration = Duration::from_millis(50);
/// And no longer than this.
pub const LAST_RETRY: Duration = Duration::from_secs(5);
/// Held while a token is spent, so that the answer is sure to find room.
const PAD: &str = "pad";
/// The least room for an answer.
const LEAST_PAD: usize = 4096;

/// A state as read live, or after our own write.
#[derive(Clone, Debug, Default)]
pub struct State {
    uid: String,
    version: String,
    /// The record, unless no exchange was ever committed.
    pub record: Option<StateRecord>,
    /// The claim, while a token is being spent or nobody knows what came of it.
    pub claim: Option<Claim>,
    /// The seed whose lineage is dead, if one is.
    pub refused: Option<RefusedSeed>,
    /// Generation of a record that can't be read whole.
    unreadable_generation: i64,
}

impl State {
    /// Its UID; empty when there is no such Secret.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Its `resourceVersion`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether there is such a Secret.
    pub fn exists(&self) -> bool {
        !self.uid.is_empty()
    }

    /// The generation of the record; 0 without one.
    pub fn generation(&self) -> i64 {
        self.record.as_ref().map_or(self.unreadable_generation, |record| record.generation)
    }

    /// Whether the claim is that of this exchange.
    pub fn is_claimed_by(&self, exchange: &str) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.exchange == exchange)
    }

    /// One that can't be: there is no place for it any more.
    pub fn gone() -> Self {
        Self { unreadable_generation: i64::MAX, ..Self::default() }
    }

    /// Whether there is no place for it any more.
    pub fn is_gone(&self) -> bool {
        self.unreadable_generation == i64::MAX
    }

    /// After a write.
    fn at(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// Reads the state live; one without UID when there is none.
///
/// # Errors
/// `StateInvalid` when it is not a state of this credential, is immutable or can't be read, `StateNotWritable` when the
/// API server fails.
pub async fn read(secrets: &Secrets, place: &Place) -> Result<State, Problem> {
    let invalid = |what: &str| {
        Problem::new(Reason::StateInvalid, format!("the Secret {} {what}", place.name))
    };
    let secret = secrets.get(&place.namespace, &place.name).await;
    let Some(secret) = secret.map_err(|error| unwritable(place, &error))? else {
        return Ok(State::default());
    };
    let annotations = secret.metadata.annotations.as_ref();
    let owner = annotations.and_then(|annotations| annotations.get(CREDENTIAL));
    if secret.type_.as_deref() != Some(STATE_TYPE) || owner != Some(&place.credential) {
        return Err(invalid("is not a state that oauth-keeper made for this credential"));
    }
    if secret.immutable == Some(true) {
        return Err(invalid("is immutable, so that no new refresh token could be kept in it"));
    }
    if secret.metadata.deletion_timestamp.is_some() {
        return Err(invalid("is being deleted"));
    }
    parse(&secret, place)
}

fn parse(secret: &Secret, place: &Place) -> Result<State, Problem> {
    let data = secret.data.as_ref();
    let value = |key: &str| data.and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    let record = value(RECORD).map(|bytes| StateRecord::parse(bytes, &place.name)).transpose()?;
    let claim = mark(value(CLAIM), CLAIM, place)?;
    let refused = mark(value(REFUSED), REFUSED, place)?;
    let was_written = secret
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key(record::REVISION));
    if record.is_none() && was_written {
        let message = format!(
            "the state Secret {} has no record any more, though its annotations speak of one",
            place.name
        );
        return Err(Problem::new(Reason::StateInvalid, message));
    }
    Ok(State { record, claim, refused, ..State::at(&secret.metadata) })
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

/// Writes the claim, if the state is still as it was read. Returns the state as it is now, and its metadata.
///
/// # Errors
/// Whatever kept it from being written; nothing must be sent then.
pub async fn claim(
    secrets: &Secrets,
    place: &Place,
    read: &State,
    claim: Claim,
    token: &RefreshToken,
) -> Result<(State, ObjectMeta), WriteError> {
    let annotations = Map::from_iter([
        (record::CLAIM.to_owned(), json!(text(&claim))),
        (HOLDS.to_owned(), json!(lineage_of(token))),
    ]);
    let data = Map::from_iter([
        (CLAIM.to_owned(), json!(encode(&claim))),
        (PAD.to_owned(), json!(pad(read.record.as_ref(), token))),
    ]);
    let meta = write(secrets, place, read, annotations, data).await?;
    let state = State {
        record: read.record.clone(),
        refused: read.refused.clone(),
        claim: Some(claim),
        ..State::at(&meta)
    };
    Ok((state, meta))
}

/// Twice what the present tokens take, and never little.
fn pad(record: Option<&StateRecord>, token: &RefreshToken) -> ByteString {
    let present = record.map_or_else(
        || token.expose().len(),
        |record| {
            record.access_token.expose().len().saturating_add(record.refresh_token.expose().len())
        },
    );
    ByteString(vec![0; present.saturating_mul(2).max(LEAST_PAD)])
}

/// Writes the record, if the state is still as it was read. The claim goes with it if it is that of this exchange.
///
/// # Errors
/// Whatever kept it from being written, or leaves that open.
pub async fn commit(
    secrets: &Secrets,
    place: &Place,
    base: &State,
    exchange: &str,
    record: &StateRecord,
) -> Result<ObjectMeta, WriteError> {
    let mut annotations = header(record);
    let mut data = Map::from_iter([
        (RECORD.to_owned(), json!(encode(record))),
        (REFUSED.to_owned(), Value::Null),
    ]);
    for key in [REFUSED_SOURCE, REFUSED_AT] {
        annotations.insert(key.to_owned(), Value::Null);
    }
    if base.claim.is_none() || base.is_claimed_by(exchange) {
        annotations.insert(record::CLAIM.to_owned(), Value::Null);
        data.insert(CLAIM.to_owned(), Value::Null);
        data.insert(PAD.to_owned(), Value::Null);
    }
    write(secrets, place, base, annotations, data).await
}

/// Writes the annotations of a record anew, where somebody made them say something else.
///
/// # Errors
/// Whatever kept them from being written.
pub async fn mend(
    secrets: &Secrets,
    place: &Place,
    read: &State,
    record: &StateRecord,
) -> Result<ObjectMeta, WriteError> {
    let mut annotations = header(record);
    let claim = read.claim.as_ref().map(text);
    annotations.insert(record::CLAIM.to_owned(), json!(claim));
    write(secrets, place, read, annotations, Map::new()).await
}

/// What becomes of a claim whose exchange brought no token set.
#[derive(Clone, Debug)]
pub enum Released {
    /// It goes.
    Free,
    /// It stays, as a mark.
    Marked(Box<Claim>),
    /// It goes, and the lineage is dead.
    Dead {
        /// Its seed.
        seed: RefusedSeed,
        /// `resourceVersion` of the source with the seed.
        source_version: String,
    },
}

/// Takes the claim away or leaves a mark, if the state is still as it was read.
///
/// # Errors
/// Whatever kept it from being written.
pub async fn release(
    secrets: &Secrets,
    place: &Place,
    claimed: &State,
    released: &Released,
) -> Result<ObjectMeta, WriteError> {
    let mut annotations = Map::from_iter([(record::CLAIM.to_owned(), Value::Null)]);
    let mut data = Map::from_iter([(CLAIM.to_owned(), Value::Null), (PAD.to_owned(), Value::Null)]);
    // The token of the claim is held no more, if it was another than the newest.
    if let Some(record) = &claimed.record
        && !matches!(released, Released::Marked(_))
    {
        annotations.insert(HOLDS.to_owned(), json!(lineage_of(&record.refresh_token)));
    }
    match released {
        Released::Free => {}
        Released::Marked(claim) => {
            annotations.insert(record::CLAIM.to_owned(), json!(text(claim)));
            data.insert(CLAIM.to_owned(), json!(encode(claim)));
        }
        Released::Dead { seed, source_version } => {
            annotations.insert(REFUSED_SOURCE.to_owned(), json!(source_version));
            annotations.insert(REFUSED_AT.to_owned(), json!(seed.at.to_string()));
            data.insert(REFUSED.to_owned(), json!(encode(seed)));
        }
    }
    write(secrets, place, claimed, annotations, data).await
}

/// Reads the state as far as it can be read: what can't be is as good as absent, but for its generation.
///
/// # Errors
/// When the API server fails.
pub async fn reread(secrets: &Secrets, place: &Place) -> Result<State, WriteError> {
    let Some(secret) = secrets.get(&place.namespace, &place.name).await? else {
        return Ok(State::default());
    };
    Ok(parse(&secret, place).unwrap_or_else(|_| State {
        unreadable_generation: generation(&secret),
        ..State::at(&secret.metadata)
    }))
}

/// The generation of a record, whatever else is wrong with it.
fn generation(secret: &Secret) -> i64 {
    let record = secret.data.as_ref().and_then(|data| data.get(RECORD));
    let record = record.and_then(|bytes| serde_json::from_slice::<Value>(&bytes.0).ok());
    record.and_then(|record| record.get("generation")?.as_i64()).unwrap_or_default()
}

/// Annotations that tell of a record.
fn header(record: &StateRecord) -> Map<String, Value> {
    let annotations = record.header().to_annotations();
    let mut annotations: Map<String, Value> =
        annotations.into_iter().map(|(key, value)| (key, json!(value))).collect();
    annotations.insert(HOLDS.to_owned(), json!(lineage_of(&record.refresh_token)));
    annotations
}

/// Writes annotations and data, where null removes, under the precondition that the state is as it was read.
async fn write(
    secrets: &Secrets,
    place: &Place,
    read: &State,
    annotations: Map<String, Value>,
    data: Map<String, Value>,
) -> Result<ObjectMeta, WriteError> {
    if read.exists() {
        let metadata = json!({
            "resourceVersion": read.version, "uid": read.uid, "annotations": annotations,
        });
        let patch = json!({"metadata": metadata, "data": data});
        return secrets.patch(&place.namespace, &place.name, &patch).await;
    }
    secrets.create(&place.namespace, &new_secret(place, annotations, data)).await
}

fn new_secret(place: &Place, annotations: Map<String, Value>, data: Map<String, Value>) -> Secret {
    let texts = annotations.into_iter().filter_map(|(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    });
    let mut annotations: BTreeMap<String, String> = texts.collect();
    annotations.insert(CREDENTIAL.to_owned(), place.credential.clone());
    let data = data.into_iter().filter(|(_, value)| !value.is_null()).filter_map(|(key, value)| {
        serde_json::from_value::<ByteString>(value).ok().map(|bytes| (key, bytes))
    });
    Secret {
        metadata: ObjectMeta {
            name: Some(place.name.clone()),
            labels: Some(BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())])),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        type_: Some(STATE_TYPE.to_owned()),
        data: Some(data.collect()),
        ..Secret::default()
    }
}

fn encode(value: &impl Serialize) -> ByteString {
    // Records and claims hold nothing that can't be written as JSON.
    ByteString(serde_json::to_vec(value).unwrap_or_default())
}

fn text(claim: &Claim) -> String {
    serde_json::to_string(claim).unwrap_or_default()
}

/// A failure of the API server around the state.
pub fn unwritable(place: &Place, error: &WriteError) -> Problem {
    Problem::new(
        Reason::StateNotWritable,
        format!("the state Secret {} can't be read or written: {error}", place.name),
    )
}
