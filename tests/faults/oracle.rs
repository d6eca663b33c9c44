//! What the authorization server says of the newest stored refresh token, and why it is dead where it may be.

use std::time::{Duration, SystemTime};

use oauth_keeper_test_support::authorization_server::{AuthorizationServer, LineageState};
use oauth_keeper_test_support::wait;
use serde_json::Value;

use crate::stage::{SOON, Stage, state_of};

/// The causes that no client can close, where the server is strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The answer was lost on its way.
    ResponseLost,
    /// The process died before the answer was journaled.
    DeathBeforeTheJournalWrite,
    /// The pod was lost, and with it its journal, before the answer was journaled.
    PodLossBeforeTheJournalWrite,
    /// The pod was lost, and with it its journal, before the answer was committed.
    PodLossBeforeTheCommit,
}

/// The newest refresh token that is stored.
pub async fn newest<E>(stage: &Stage<E>, name: &str) -> String {
    stage.state_record(name).await["refreshToken"].as_str().unwrap_or_default().to_owned()
}

/// Nothing runs that could change it: the newest stored refresh token is live, none was used twice, and nobody's claim
/// is left.
pub async fn nothing_is_lost<E>(stage: &Stage<E>, name: &str, server: &AuthorizationServer) {
    let newest = newest(stage, name).await;
    let lineage = server.lineage_of(&newest).map(|lineage| server.lineage(lineage));
    assert!(server.is_live(&newest), "{name}: {newest:?} is dead; {lineage:?}");
    assert_eq!(lineage.map(|lineage| lineage.reuses), Some(0), "{name}");
    let state = stage.secret(&state_of(name)).await.data.unwrap_or_default();
    let claim = state.get("claim").map(|claim| String::from_utf8_lossy(&claim.0).into_owned());
    assert_eq!(claim, None, "{name}");
}

/// The lineage was lost for a cause that no client can close. Its dead token is sent once, when the hold ends.
pub async fn is_lost(stage: &Stage, name: &str, server: &AuthorizationServer, cause: Loss) {
    is_rejected(stage, name).await;
    let record = stage.state_record(name).await;
    let stored = record["refreshToken"].as_str().unwrap_or_default();
    let lineage = lineage(server, stored);
    assert_ne!(lineage.newest, stored, "the server replaced it: {cause:?}");
    assert_eq!(lineage.reuses, 1, "{cause:?}");
    let reused_at = lineage.reused_at.expect("it was reused");
    assert!(reused_at >= hold_ends_at(&record), "{reused_at:?} is too early: {record}");
}

/// Waits until the server has called the newest token dead.
pub async fn is_rejected(stage: &Stage, name: &str) {
    let rejected = |status: &Value| status["failure"]["reason"] == "RefreshTokenRejected";
    stage.status_that(name, "hears that its token is dead", rejected).await;
}

/// Waits until the newest stored token is one of the lineage that began with this seed.
pub async fn goes_back_to(stage: &Stage, name: &str, server: &AuthorizationServer, seed: &str) {
    wait::until("the new lineage is stored", SOON, || async {
        let stored = server.lineage_of(&newest(stage, name).await);
        (stored.is_some() && stored == server.lineage_of(seed)).then_some(())
    })
    .await;
    stage.ready(name).await;
}

fn lineage(server: &AuthorizationServer, token: &str) -> LineageState {
    server.lineage(server.lineage_of(token).expect("the server made it"))
}

/// When the last tenth of the life of the access token begins. Times in a record are whole seconds.
fn hold_ends_at(record: &Value) -> SystemTime {
    let time = |key: &str| {
        let text = record[key].as_str().expect("the record has it");
        SystemTime::from(text.parse::<jiff::Timestamp>().expect("it is a time"))
    };
    let (issued_at, expires_at) = (time("issuedAt"), time("expiresAt"));
    let lifetime = expires_at.duration_since(issued_at).unwrap_or(Duration::ZERO);
    expires_at - lifetime / 10
}
