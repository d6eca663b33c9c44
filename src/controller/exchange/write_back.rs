//! Writes a rotated refresh token into the source, for users who want it there. The state is the truth: whatever fails
//! here loses nothing.

use std::time::Duration;

use k8s_openapi::ByteString;
use serde_json::json;

use crate::lifecycle::record::{StateRecord, WRITTEN_BACK};
use crate::oauth::secret::RefreshToken;

use super::attempt::Exchange;
use super::look::annotation;

/// Somebody else may write into the source at the same time.
const TRIES: u32 = 3;
const RETRY: Duration = Duration::from_millis(200);

/// Writes the newest token over an older one of its lineage, and over nothing else.
pub async fn write_back(exchange: &Exchange<'_>, record: &StateRecord) {
    let mut written = Ok(());
    for _ in 0..TRIES {
        written = try_write(exchange, record).await;
        if written.is_ok() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
    if let Err(why) = written {
        exchange.context.events.not_written_back(exchange.credential, &why);
    }
}

async fn try_write(exchange: &Exchange<'_>, record: &StateRecord) -> Result<(), String> {
    let (context, source) = (exchange.context, &exchange.spec.source);
    let namespace = exchange.credential.metadata.namespace.as_deref().unwrap_or_default();
    let failed = |error: crate::controller::secrets::WriteError| {
        let (name, key) = (source.name, source.refresh_token);
        format!(
            "the new refresh token could not be written into key {key} of the source Secret {name}: {error}"
        )
    };
    let Some(secret) = context.secrets.get(namespace, source.name).await.map_err(failed)? else {
        return Ok(());
    };
    let data = secret.data.unwrap_or_default();
    let text = data.get(source.refresh_token).and_then(|bytes| std::str::from_utf8(&bytes.0).ok());
    let present = RefreshToken::new(text.unwrap_or_default().trim_end_matches(['\r', '\n']));
    let mark = annotation(&secret.metadata, WRITTEN_BACK);
    let is_older = record.is_current(&present)
        || record.knows(&present)
        || record.wrote_before(&present, mark);
    if !is_older || present == record.refresh_token {
        return Ok(());
    }
    let token = ByteString(record.refresh_token.expose().as_bytes().to_vec());
    let patch = json!({
        "metadata": {
            "resourceVersion": secret.metadata.resource_version,
            "uid": secret.metadata.uid,
            "annotations": {WRITTEN_BACK: record.written_back_mark()},
        },
        "data": {source.refresh_token: token},
    });
    let meta = context.secrets.patch(namespace, source.name, &patch).await.map_err(failed)?;
    let uid = exchange.credential.metadata.uid.as_deref().unwrap_or_default();
    let version = meta.resource_version.clone();
    context.notes.update(uid, |note| note.known_source = version);
    context.wake_others(context.index.saw_secret(&meta), exchange.credential);
    Ok(())
}
