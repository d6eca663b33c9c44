//! The story most tests of rotation tell: a credential has spent its seed, and spends the next token.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;
use oauth_keeper_test_support::operator::Operator;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::gate::{Gate, field, rotated};
use crate::stage::{HOUR, SOON, Stage, eager, spec, state_of, with};

/// A source whose seed is `refresh-0`.
pub const SEED: [(&str, &str); 3] =
    [("client_id", "client"), ("client_secret", "secret"), ("refresh_token", "refresh-0")];

/// Words of the log while the API server refuses a commit.
pub const NOT_COMMITTED: &str = "not committed yet";

/// The credential `c` redeems its seed for `access-1` and `refresh-1`.
pub async fn first_exchange(stage: &Stage, gate: &mut Gate) {
    stage.source("c-source", &SEED).await;
    stage.credential("c", eager(spec("c", &gate.endpoint()))).await;
    gate.arrival().await;
    gate.answer(rotated("access-1", "refresh-1", HOUR));
    stage.ready("c").await;
}

/// Has it redeem `refresh-1`; comes back while the server thinks.
pub async fn second_exchange(stage: &Stage, gate: &mut Gate) {
    let scopes = json!({"scopes": ["more"]});
    stage.credential("c", with(eager(spec("c", &gate.endpoint())), scopes)).await;
    let request = gate.arrival().await;
    assert_eq!(field(&request, "refresh_token").as_deref(), Some("refresh-1"));
}

/// Waits until the state holds that refresh token, and nobody's claim.
pub async fn committed(stage: &Stage, refresh_token: &str) {
    wait::until_ok("the new token is committed", SOON, || async {
        let secret = stage.secrets().get_opt(&state_of("c")).await;
        let data = secret.ok().flatten().and_then(|secret| secret.data).unwrap_or_default();
        let value =
            |key: &str| data.get(key).map(|value| serde_json::from_slice::<Value>(&value.0));
        let record = value("record").and_then(Result::ok).unwrap_or_default();
        match (record["refreshToken"].as_str(), value("claim")) {
            (Some(token), None) if token == refresh_token => Ok(()),
            (token, claim) => Err(format!("{token:?}, claim: {}", claim.is_some())),
        }
    })
    .await;
}

pub async fn logged(operator: &Operator, words: &str) {
    wait::until_ok("it is logged", SOON, || async {
        let log = operator.log();
        if log.contains(words) { Ok(()) } else { Err(log) }
    })
    .await;
}

/// Does `during`, and then `after` even when `during` fails: other tests need what `after` mends.
pub async fn mended(during: impl Future<Output = ()>, after: impl Future<Output = ()>) {
    let outcome = AssertUnwindSafe(during).catch_unwind().await;
    after.await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}
