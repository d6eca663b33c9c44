//! Reads of the state Secret.

use k8s_openapi::api::core::v1::Secret;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::Reason;
use crate::controller::secrets::{Secrets, WriteError};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{self, CREDENTIAL, StateRecord};

use super::{CLAIM, Place, RECORD, REFUSED, STATE_TYPE, State, unwritable};

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
