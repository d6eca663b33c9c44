//! A credential is deleted: what goes with it, what stays, and what its provider is told.

use std::sync::Arc;
use std::time::Duration;

use kube::api::DeleteParams;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::providers;
use crate::stage::{HOUR, SOON, Stage, eager, server, spec, state_of, target_of, with};
use crate::story::SEED;

/// Longer than revocation is tried.
const LATER: Duration = Duration::from_secs(120);

async fn delete(stage: &Stage) {
    let deleted = stage.credentials().delete("c", &DeleteParams::default()).await;
    deleted.expect("it can be deleted");
}

async fn exists(stage: &Stage, secret: &str) -> bool {
    stage.secrets().get_opt(secret).await.expect("it can be read").is_some()
}

pub async fn its_state_goes_with_it_and_the_finalizer_after(env: Arc<Env>) {
    let stage = Stage::new(env, "deletion").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    stage.refreshing("c", &server, eager(spec("c", &server.token_endpoint()))).await;
    stage.ready("c").await;
    operator.stop().await;

    // Nobody is there to deal with the state, so it stays, and the credential with it.
    delete(&stage).await;
    assert!(exists(&stage, &state_of("c")).await);
    let credential = stage.credentials().get("c").await.expect("it is still there");
    assert!(credential.metadata.deletion_timestamp.is_some());
    let _operator = stage.operator().await;

    stage.gone("c").await;
    assert!(!exists(&stage, &state_of("c")).await);
    // The garbage collector takes the target, which belongs to the credential.
    let owners = stage.secret(&target_of("c")).await.metadata.owner_references;
    assert_eq!(owners.map(|owners| owners.len()), Some(1));
    assert_eq!(server.counts().requests, 1, "nothing was spent for it");
}

pub async fn what_shall_stay_stays(env: Arc<Env>) {
    let stage = Stage::new(env, "deletion").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let policy = json!({
        "target": {"deletionPolicy": "Retain"}, "state": {"deletionPolicy": "Retain"},
    });
    let spec = with(eager(spec("c", &server.token_endpoint())), policy);
    stage.refreshing("c", &server, spec.clone()).await;
    stage.ready("c").await;
    assert_eq!(stage.secret(&target_of("c")).await.metadata.owner_references, None);

    // Changed and changed back, the owner comes and goes.
    stage
        .credential("c", with(spec.clone(), json!({"target": {"deletionPolicy": "Delete"}})))
        .await;
    let owners = |count: Option<usize>| {
        let stage = &stage;
        async move {
            wait::until("the owner is as the policy says", SOON, || async {
                let owners = stage.secret(&target_of("c")).await.metadata.owner_references;
                (owners.map(|owners| owners.len()) == count).then_some(())
            })
            .await;
        }
    };
    owners(Some(1)).await;
    stage.credential("c", spec.clone()).await;
    owners(None).await;

    let (record, target) = (stage.state_record("c").await, stage.target("c").await);
    delete(&stage).await;
    stage.gone("c").await;
    assert_eq!(stage.state_record("c").await, record);
    assert_eq!(stage.target("c").await, target);

    // Made anew, it goes on where it was: nothing need be asked for.
    stage.credential("c", spec).await;
    stage.ready("c").await;
    assert_eq!(stage.state_record("c").await, record);
    assert_eq!(server.counts().requests, 1);
}

pub async fn the_refresh_token_is_revoked_first(env: Arc<Env>) {
    let stage = Stage::new(env, "deletion").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let revocation = json!({"provider": {"revocationEndpoint": server.revocation_endpoint()}});
    let spec = with(eager(spec("c", &server.token_endpoint())), revocation);
    stage.refreshing("c", &server, spec).await;
    stage.ready("c").await;
    let newest = stage.state_record("c").await["refreshToken"].clone();
    let newest = newest.as_str().expect("it is a text").to_owned();
    assert!(server.is_live(&newest));

    delete(&stage).await;

    stage.gone("c").await;
    assert!(!server.is_live(&newest));
    assert_eq!((server.counts().revocations, server.counts().reuses), (1, 0));
    told(&stage, "TokenRevoked").await;
}

pub async fn a_provider_that_is_gone_does_not_hold_it_up(env: Arc<Env>) {
    let stage = Stage::new(env, "deletion").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let provider = json!({"tokenEndpoint": server.token_endpoint(), "revocationEndpoint": server.revocation_endpoint()});
    providers::apply(&stage, "OAuthProvider", "p", &provider).await.expect("it is valid");
    stage.refreshing("c", &server, providers::by_name("c", "OAuthProvider", "p")).await;
    stage.ready("c").await;
    let namespace = stage.namespace.as_str();
    stage.env.control_plane.kubectl(&["delete", "oauthprovider", "p", "-n", namespace]).await;
    stage.condition("c", "Stalled", "True", "ProviderNotFound").await;

    delete(&stage).await;

    stage.gone("c").await;
    let note = told(&stage, "RevocationFailed").await;
    assert!(note.contains("was not revoked") && note.contains("does not exist"), "{note}");
    assert_eq!(server.counts().revocations, 0);
}

async fn told(stage: &Stage, reason: &str) -> String {
    wait::until("it is told", SOON, || async {
        let events = stage.events("c").await;
        let event = events.into_iter().find(|event| event.reason.as_deref() == Some(reason))?;
        Some(event.note.unwrap_or_default())
    })
    .await
}

pub async fn a_revocation_that_fails_does_not_hold_it_up_for_ever(env: Arc<Env>) {
    let stage = Stage::new(env, "deletion").await;
    let server = ScriptedServer::start().await;
    server.answer_with(|request| {
        if request.path() == "/revoke" {
            Answer::status(503)
        } else {
            Answer::json(
                200,
                &json!({"access_token": "a", "refresh_token": "r", "expires_in": 3600}),
            )
        }
    });
    let _operator = stage.operator().await;
    let revocation = json!({"provider": {"revocationEndpoint": server.url("/revoke")}});
    stage.source("c-source", &SEED).await;
    stage.credential("c", with(eager(spec("c", &server.url("/token"))), revocation)).await;
    stage.ready("c").await;

    delete(&stage).await;

    wait::until("the credential is gone", LATER, || async {
        stage.credentials().get_opt("c").await.ok()?.is_none().then_some(())
    })
    .await;
    let tries = server.requests().iter().filter(|request| request.path() == "/revoke").count();
    assert!((2..=20).contains(&tries), "{tries}");
    assert!(!exists(&stage, &state_of("c")).await);
    let note = told(&stage, "RevocationFailed").await;
    assert!(note.contains("503"), "{note}");
    assert!(!Value::from(note).to_string().contains("refresh-"));
}

/// Of the way in which token requests are written the headers count, and the names of what says who the client is.
pub async fn a_revocation_is_asked_for_in_the_words_of_the_server(env: Arc<Env>) {
    let stage = Stage::new(env, "deletion").await;
    let server = ScriptedServer::start().await;
    let answer = json!({"access_token": "a", "refresh_token": "r", "expires_in": 3600});
    server.always(Answer::json(200, &answer));
    let _operator = stage.operator().await;
    let provider = json!({"provider": {
        "revocationEndpoint": server.url("/revoke"),
        "request": {
            "encoding": "Json", "headers": {"X-Version": "7"}, "parameters": {"mode": "offline"},
            "parameterNames": {"client_id": "client_key"},
        },
    }});
    stage.source("c-source", &SEED).await;
    stage.credential("c", with(eager(spec("c", &server.url("/token"))), provider)).await;
    stage.ready("c").await;

    delete(&stage).await;

    stage.gone("c").await;
    let request = server.requests().pop().expect("it came");
    assert_eq!((request.path(), request.header("x-version")), ("/revoke", Some("7")));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(
        request.text(),
        "token=r&token_type_hint=refresh_token&client_key=client&client_secret=secret"
    );
    told(&stage, "TokenRevoked").await;
}

pub async fn a_spec_that_can_t_be_used_does_not_go_without_a_word(env: Arc<Env>) {
    let stage = Stage::new(env, "deletion").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let revocation = json!({"provider": {"revocationEndpoint": server.revocation_endpoint()}});
    let spec = with(eager(spec("c", &server.token_endpoint())), revocation);
    stage.refreshing("c", &server, spec.clone()).await;
    stage.ready("c").await;
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let broken = with(spec, json!({"provider": {"tls": {"caBundle": broken}}}));
    stage.credential("c", broken).await;
    stage.condition("c", "Stalled", "True", "SpecInvalid").await;

    delete(&stage).await;

    stage.gone("c").await;
    assert!(!exists(&stage, &state_of("c")).await);
    let note = told(&stage, "RevocationFailed").await;
    assert!(note.contains("was not revoked") && note.contains("tls.caBundle"), "{note}");
    assert_eq!(server.counts().revocations, 0);
}
