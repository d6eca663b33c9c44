//! Sources that can't be used: the condition names the key, nothing is sent, and a repair is noticed.

use std::sync::Arc;

use oauth_keeper_test_support::suite::Env;
use serde_json::{Value, json};

use crate::stage::{
    HOUR, Neighbour, Stage, client_credentials, eager, server, source_of, spec, with,
};

/// What a source holds, what of the spec is changed, and what the condition says of which key.
struct Row {
    name: &'static str,
    keys: Vec<(&'static str, Vec<u8>)>,
    change: Value,
    culprit: &'static str,
    words: &'static str,
}

/// Sources that hold some keys only.
fn incomplete() -> impl Iterator<Item = Row> {
    let (id, secret, token) = ("client_id", "client_secret", "refresh_token");
    let basic = json!({"provider": {"clientAuthentication": {"method": "ClientSecretBasic"}}});
    let renamed = json!({"source": {"keys": {"refreshToken": "RT"}}});
    let asking = json!({"grant": {"clientCredentials": {}}});
    let rows = [
        ("nothing", vec![], json!({}), token),
        ("no-token", vec![id, secret], json!({}), token),
        ("no-id", vec![secret, token], json!({}), id),
        ("no-secret", vec![id], asking, secret),
        ("basic", vec![id, token], basic, secret),
        ("renamed", vec![id, secret, token], renamed, "RT"),
    ];
    rows.into_iter().map(|(name, keys, change, culprit)| {
        let keys = keys.into_iter().map(|key| (key, b"value".to_vec())).collect();
        Row { name, keys, change, culprit, words: "is missing" }
    })
}

/// Sources that hold all keys, one of them with a value that is none.
fn garbled() -> impl Iterator<Item = Row> {
    let (id, secret, token) = ("client_id", "client_secret", "refresh_token");
    let rows: [(_, _, &[u8], _); 8] = [
        ("empty", token, b"", "is empty"),
        ("newline", token, b"\n", "is empty"),
        ("garbage", token, b"\xff\xfe\x00\x01", "is no text (not UTF-8)"),
        ("garbled-id", id, b"\xc3\x28", "is no text (not UTF-8)"),
        ("large", secret, &[0xf5; 9_000], "is no text (not UTF-8)"),
        ("nul", secret, b"a\0b", "holds control characters"),
        ("two-lines", token, b"a\r\nX-Header: b", "holds control characters"),
        ("umlaut", token, "tök".as_bytes(), "is no token: it may hold printable ASCII only"),
    ];
    rows.into_iter().map(move |(name, culprit, value, words)| {
        let value_of = |key| if key == culprit { value.to_vec() } else { b"value".to_vec() };
        let keys = [id, secret, token].map(|key| (key, value_of(key))).into();
        Row { name, keys, change: json!({}), culprit, words }
    })
}

pub async fn a_bad_key_is_named_and_nothing_is_sent(env: Arc<Env>) {
    let stage = Stage::new(env, "sources").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let rows: Vec<Row> = incomplete().chain(garbled()).collect();
    for Row { name, keys, change, .. } in &rows {
        stage.source(&source_of(name), keys).await;
        let spec = with(eager(spec(name, &server.token_endpoint())), change.clone());
        stage.credential(name, spec).await;
    }
    for Row { name, culprit, words, .. } in &rows {
        let words = format!("key {culprit} of the source Secret {name}-source {words}");
        for (type_, status) in [("Ready", "False"), ("Stalled", "True")] {
            let said = stage.condition(name, type_, status, "SourceInvalid").await;
            assert!(said.starts_with(&words), "{name}: {said}");
        }
    }
    let mut before = stage.versions().await;
    before.retain(|name, _| !name.starts_with("neighbour"));
    neighbour.renewed_twice(&stage).await;
    let after = stage.versions().await;
    for (name, version) in before {
        assert_eq!(after[&name], version, "{name} is written again and again");
    }
    assert_eq!(server.counts().requests, 0);
    assert_eq!(operator.try_exit(), None);

    // A repair is noticed at once.
    let spec = eager(spec("garbage", &server.token_endpoint()));
    stage.refreshing("garbage", &server, spec).await;
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
