//! What a user could see at one moment: the credentials' status and the Secrets they keep.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use oauth_keeper::api::OAuthCredential;
use oauth_keeper::api::condition::READY;

use crate::scene::{NAMESPACE, Scene};

/// One credential.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) credential: String,
    pub(crate) ready: String,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) renewals: i64,
    /// None for grants without a refresh token.
    pub(crate) rotations: Option<i64>,
    /// The target's access token, all but its beginning and its end left out.
    pub(crate) access_token: String,
    /// Whether the authorization server accepts it.
    pub(crate) accepted: bool,
}

/// All credentials, by name.
pub(crate) async fn take(scene: &Scene) -> Result<Vec<Row>, String> {
    let failed = |error: kube::Error| error.to_string();
    let credentials: Api<OAuthCredential> = Api::namespaced(scene.client(), NAMESPACE);
    let secrets: Api<Secret> = Api::namespaced(scene.client(), NAMESPACE);
    let mut rows = Vec::new();
    for credential in credentials.list(&ListParams::default()).await.map_err(failed)? {
        let target = secrets.get_opt(&credential.spec.target.name).await.map_err(failed)?;
        let access_token = target.as_ref().and_then(access_token);
        rows.push(row(scene, &credential, access_token.as_deref()));
    }
    Ok(rows)
}

fn row(scene: &Scene, credential: &OAuthCredential, access_token: Option<&str>) -> Row {
    let status = credential.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|condition| condition.type_ == READY);
    let said = |word: Option<&String>| word.cloned().unwrap_or_default();
    Row {
        credential: credential.name_any(),
        ready: said(ready.map(|ready| &ready.status)),
        reason: said(ready.map(|ready| &ready.reason)),
        message: said(ready.map(|ready| &ready.message)),
        expires_at: status.expires_at.map(|time| time.0),
        // The first token set is no renewal.
        renewals: status.target.map_or(0, |target| target.revision.saturating_sub(1)),
        rotations: status.refresh_token.map(|token| token.rotations),
        accepted: access_token.is_some_and(|token| scene.server.accepts(token)),
        access_token: access_token.map(shorten).unwrap_or_default(),
    }
}

fn access_token(target: &Secret) -> Option<String> {
    let bytes = target.data.as_ref()?.get("access_token")?;
    String::from_utf8(bytes.0.clone()).ok()
}

/// `prefix-…1234`: enough to see it change, not enough to use it.
fn shorten(token: &str) -> String {
    let prefix = token.rfind('-').map_or("", |end| token.get(..=end).unwrap_or_default());
    let tail = token
        .char_indices()
        .nth_back(3)
        .map_or("", |(start, _)| token.get(start..).unwrap_or_default());
    format!("{prefix}…{tail}")
}
