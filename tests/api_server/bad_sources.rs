//! Sources that can't be used: the condition names the key, nothing is sent, and a repair is noticed.

use std::sync::Arc;

use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::stage::{
    HOUR, Neighbour, Stage, client_credentials, eager, server, source_of, spec, with,
};

type Keys = Vec<(&'static str, Vec<u8>)>;

/// What a source holds, what of the spec is changed, and what the condition says of it.
struct Row {
    name: &'static str,
    keys: Keys,
    change: Value,
    message: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |name, keys: &[(&'static str, &[u8])], message| Row {
        name,
        keys: keys.iter().map(|(key, value)| (*key, value.to_vec())).collect(),
        change: json!({}),
        message,
    };
    let changed = |row: Row, change| Row { change, ..row };
    let (id, secret) = (("client_id", b"i".as_slice()), ("client_secret", b"s".as_slice()));
    vec![
        row("nothing", &[], "key refresh_token of the source Secret nothing-source is missing"),
        row(
            "no-seed",
            &[id, secret],
            "key refresh_token of the source Secret no-seed-source is missing",
        ),
        row(
            "no-id",
            &[secret, ("refresh_token", b"r")],
            "key client_id of the source Secret no-id-source is missing",
        ),
        changed(
            row(
                "no-secret",
                &[id],
                "key client_secret of the source Secret no-secret-source is missing",
            ),
            json!({"grant": {"clientCredentials": {}}}),
        ),
        changed(
            row(
                "basic",
                &[id, ("refresh_token", b"r")],
                "key client_secret of the source Secret basic-source is missing",
            ),
            json!({"provider": {"clientAuthentication": {"method": "ClientSecretBasic"}}}),
        ),
        changed(
            row(
                "renamed",
                &[id, secret, ("refresh_token", b"r")],
                "key RT of the source Secret renamed-source is missing",
            ),
            json!({"source": {"keys": {"refreshToken": "RT"}}}),
        ),
        row(
            "empty",
            &[id, secret, ("refresh_token", b"")],
            "key refresh_token of the source Secret empty-source is empty",
        ),
        row(
            "newline",
            &[id, secret, ("refresh_token", b"\n")],
            "key refresh_token of the source Secret newline-source is empty",
        ),
        row(
            "garbage",
            &[id, secret, ("refresh_token", b"\xff\xfe\x00\x01")],
            "key refresh_token of the source Secret garbage-source is no text (not UTF-8)",
        ),
        row(
            "garbled-id",
            &[("client_id", b"\xc3\x28"), secret, ("refresh_token", b"r")],
            "key client_id of the source Secret garbled-id-source is no text (not UTF-8)",
        ),
        row(
            "nul",
            &[id, ("client_secret", b"a\0b"), ("refresh_token", b"r")],
            "key client_secret of the source Secret nul-source holds control characters",
        ),
        row(
            "two-lines",
            &[id, secret, ("refresh_token", b"a\r\nX-Header: b")],
            "key refresh_token of the source Secret two-lines-source holds control characters",
        ),
        row(
            "umlaut",
            &[id, secret, ("refresh_token", "tök".as_bytes())],
            "key refresh_token of the source Secret umlaut-source is no token",
        ),
        row(
            "large",
            &[("client_secret", b"\xf5"), id, ("refresh_token", &[b'x'; 900_000])],
            "key client_secret of the source Secret large-source is no text",
        ),
    ]
}

pub async fn a_bad_key_is_named_and_nothing_is_sent(env: Arc<Env>) {
    let stage = Stage::new(env, "sources").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    for Row { name, keys, change, .. } in rows() {
        stage.source(&source_of(name), &keys).await;
        stage.credential(name, with(eager(spec(name, &server.token_endpoint())), change)).await;
    }
    for Row { name, message, .. } in rows() {
        for (type_, status) in [("Ready", "False"), ("Stalled", "True")] {
            let said = stage.condition(name, type_, status, "SourceInvalid").await;
            assert!(said.starts_with(message), "{name}: {said}");
        }
    }
    let before = stage.versions().await;
    neighbour.renewed_twice(&stage).await;
    let mut after = stage.versions().await;
    after.retain(|name, _| before.contains_key(name) && !name.starts_with("neighbour"));
    assert!(
        after.iter().all(|(name, version)| before[name] == *version),
        "written again and again"
    );
    assert_eq!(server.counts().requests, 0);
    assert_eq!(operator.try_exit(), None);

    // A repair is noticed at once.
    let seed = server.seed();
    let secret = server.client_secret("garbage");
    let keys = [("client_id", "garbage"), ("client_secret", &secret), ("refresh_token", &seed)];
    stage.source("garbage-source", &keys).await;
    stage.ready("garbage").await;
}

pub async fn a_missing_source_is_named_and_waited_for(env: Arc<Env>) {
    let stage = Stage::new(env, "sources").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let endpoint = server.token_endpoint();
    stage.credential("r", eager(spec("r", &endpoint))).await;
    stage.credential("a", client_credentials(eager(spec("a", &endpoint)))).await;
    for name in ["r", "a"] {
        let message = stage.condition(name, "Stalled", "True", "SourceNotFound").await;
        assert!(message.contains(&format!("{name}-source (spec.source.name)")), "{message}");
    }
    neighbour.renewed_twice(&stage).await;
    assert_eq!(server.counts().requests, 0);

    stage.refreshing("r", &server, eager(spec("r", &endpoint))).await;
    stage.asking("a", &server, eager(spec("a", &endpoint))).await;
    stage.ready("r").await;
    stage.ready("a").await;

    // Lost again, it is missed, but the token is good for as long as it is.
    stage.delete_secret("r-source").await;
    stage.condition("r", "Stalled", "True", "SourceNotFound").await;
    stage.condition("r", "Ready", "True", "SourceNotFound").await;
    assert_eq!(server.counts().requests, 2);
}

pub async fn a_spoiled_state_is_left_alone(env: Arc<Env>) {
    let stage = Stage::new(env, "states").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let spec = eager(spec("c", &server.token_endpoint()));
    let seed = stage.refreshing("c", &server, spec.clone()).await;
    stage.ready("c").await;
    let record = stage.state_record("c").await.to_string();

    let spoil = json!({"stringData": {"record": "{\"version\": 1, \"generation\": \"spoiled\"}"}});
    stage.edit_secret("c-oauth-state", &spoil).await;
    stage.credential("c", with(spec, json!({"scopes": ["more"]}))).await;

    let message = stage.condition("c", "Stalled", "True", "StateInvalid").await;
    assert!(message.contains("c-oauth-state") && !message.contains("spoiled"), "{message}");
    neighbour.renewed_twice(&stage).await;
    assert_eq!(server.counts().requests, 1);

    stage.edit_secret("c-oauth-state", &json!({"stringData": {"record": record}})).await;
    stage.revision("c", 2).await;
    stage.ready("c").await;
    assert_eq!((server.counts().reuses, server.is_live(&seed)), (0, false));
}
