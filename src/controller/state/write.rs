//! Writes of the state Secret, each under the precondition that it is as it was read.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::controller::secrets::{Secrets, WriteError};
use crate::lifecycle::record::{
    self, CREDENTIAL, HOLDS, REFUSED_AT, REFUSED_SOURCE, StateRecord, lineage_of,
};
use crate::lifecycle::render::MANAGED_BY;
use crate::lifecycle::rotation::choice::RefusedSeed;
use crate::lifecycle::rotation::claim::Claim;
use crate::oauth::response::MAX_KEPT;
use crate::oauth::secret::{KeptText, RefreshToken};

use super::{CLAIM, Marks, Place, RECORD, REFUSED, STATE_TYPE, State};

/// Held while a token is spent, so that the answer is sure to find room.
const PAD: &str = "pad";
/// The least room for an answer.
const LEAST_PAD: usize = 4096;

/// Makes a state without a record, with what is known of its token.
///
/// # Errors
/// Whatever kept it from being made; `Conflict` when there is one.
pub async fn create(secrets: &Secrets, place: &Place, marks: Marks) -> Result<State, WriteError> {
    let (mut annotations, mut data) = (Map::new(), Map::new());
    mark(&marks, &mut annotations, &mut data);
    let meta = secrets.create(&place.namespace, &new_secret(place, annotations, data)).await?;
    Ok(State { claim: marks.claim, refused: marks.refused, ..State::at(&meta) })
}

/// What is about to be spent.
pub struct Taking<'a> {
    /// The claim.
    pub claim: Claim,
    /// The token.
    pub token: &'a RefreshToken,
    /// How many texts the answer may bring for the target.
    pub texts: usize,
}

/// Writes the claim, if the state is still as it was read. Returns the state as it is now, and its metadata.
///
/// # Errors
/// Whatever kept it from being written; nothing must be sent then.
pub async fn claim(
    secrets: &Secrets,
    place: &Place,
    read: &State,
    taking: Taking<'_>,
) -> Result<(State, ObjectMeta), WriteError> {
    let Taking { claim, token, texts } = taking;
    let annotations = Map::from_iter([
        (record::CLAIM.to_owned(), json!(text(&claim))),
        (HOLDS.to_owned(), json!(lineage_of(token))),
    ]);
    let data = Map::from_iter([
        (CLAIM.to_owned(), json!(encode(&claim))),
        (PAD.to_owned(), json!(pad(read.record.as_ref(), token, texts))),
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

/// Twice what the present tokens and texts take, and never little; and all that the texts for the target can take.
fn pad(record: Option<&StateRecord>, token: &RefreshToken, texts: usize) -> ByteString {
    let present = record.map_or_else(
        || token.expose().len(),
        |record| {
            let tokens = [record.access_token.expose(), record.refresh_token.expose()];
            let texts = record.fields.values().map(KeptText::expose);
            tokens.into_iter().chain(texts).map(str::len).sum()
        },
    );
    let tokens = present.saturating_mul(2).max(LEAST_PAD);
    ByteString(vec![0; tokens.saturating_add(texts.saturating_mul(MAX_KEPT))])
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
    let (annotations, data) = committed(base, exchange, record);
    write_record(secrets, place, base, record, annotations, data).await
}

/// Writes the newest record of this process, and what stood beside it, into a state that was set back or is gone.
///
/// # Errors
/// Whatever kept it from being written.
pub async fn restore(
    secrets: &Secrets,
    place: &Place,
    base: &State,
    record: &StateRecord,
    marks: &Marks,
) -> Result<ObjectMeta, WriteError> {
    let (mut annotations, mut data) = committed(base, "", record);
    // What stands there is as old as its record.
    annotations.insert(record::CLAIM.to_owned(), Value::Null);
    for key in [CLAIM, PAD] {
        data.insert(key.to_owned(), Value::Null);
    }
    mark(marks, &mut annotations, &mut data);
    write_record(secrets, place, base, record, annotations, data).await
}

/// Adds what stands beside a record.
fn mark(marks: &Marks, annotations: &mut Map<String, Value>, data: &mut Map<String, Value>) {
    if let Some(claim) = &marks.claim {
        annotations.insert(record::CLAIM.to_owned(), json!(text(claim)));
        data.insert(CLAIM.to_owned(), json!(encode(claim)));
    }
    if let Some(refused) = &marks.refused {
        data.insert(REFUSED.to_owned(), json!(encode(refused)));
    }
}

/// What a commit writes.
fn committed(
    base: &State,
    exchange: &str,
    record: &StateRecord,
) -> (Map<String, Value>, Map<String, Value>) {
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
    (annotations, data)
}

/// Writes a record; a state that is gone is made anew only in the namespace that the record belongs to, and not in another
/// one that has its name by now.
async fn write_record(
    secrets: &Secrets,
    place: &Place,
    base: &State,
    record: &StateRecord,
    annotations: Map<String, Value>,
    data: Map<String, Value>,
) -> Result<ObjectMeta, WriteError> {
    let home = &record.owners.namespace;
    if !base.exists() && !home.is_empty() {
        match secrets.namespace_uid(&place.namespace).await {
            Ok(here) if here == *home => {}
            // Who may not look takes it to be the same.
            Err(WriteError::Refused(_)) => {}
            Ok(_) => return Err(WriteError::NamespaceGone),
            Err(error) => return Err(error),
        }
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

/// What stands beside the record after an exchange that brought no token set.
#[derive(Clone, Debug, Default)]
pub struct Released {
    /// A claim that stays, as a mark.
    pub claim: Option<Box<Claim>>,
    /// What the exchange found dead.
    pub dead: Option<Dead>,
}

/// A lineage that is dead.
#[derive(Clone, Debug)]
pub struct Dead {
    /// Its seed.
    pub seed: RefusedSeed,
    /// `resourceVersion` of the source with the seed.
    pub source_version: String,
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
    // Another token than the newest is held only as long as a claim is about it.
    if let Some(record) = &claimed.record
        && released.claim.as_ref().is_none_or(|claim| claim.is_about(&record.refresh_token))
    {
        annotations.insert(HOLDS.to_owned(), json!(lineage_of(&record.refresh_token)));
    }
    if let Some(claim) = &released.claim {
        annotations.insert(record::CLAIM.to_owned(), json!(text(claim)));
        data.insert(CLAIM.to_owned(), json!(encode(claim)));
    }
    if let Some(Dead { seed, source_version }) = &released.dead {
        annotations.insert(REFUSED_SOURCE.to_owned(), json!(source_version));
        annotations.insert(REFUSED_AT.to_owned(), json!(seed.at.to_string()));
        data.insert(REFUSED.to_owned(), json!(encode(seed)));
    }
    write(secrets, place, claimed, annotations, data).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_room_for_tokens_and_for_all_texts_that_may_come() {
        let room =
            |token: usize, texts| pad(None, &RefreshToken::new("x".repeat(token)), texts).0.len();
        assert_eq!(room(10, 0), LEAST_PAD);
        assert_eq!(room(10_000, 0), 20_000);
        assert_eq!(room(10, 16), LEAST_PAD + 16 * MAX_KEPT);
    }
}
