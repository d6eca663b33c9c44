use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{
    ACCESS_TOKEN_PREFIX, AuthorizationServer, Ending, Fault, LineageState, REFRESH_TOKEN_PREFIX,
    ServerOptions,
};
use crate::{http_client, wait};

const CLIENT: &str = "a:client/ö";
const SOON: Duration = Duration::from_secs(5);

async fn start() -> AuthorizationServer {
    AuthorizationServer::start(ServerOptions::default()).await
}

fn request(server: &AuthorizationServer) -> RequestBuilder {
    http_client::new().post(server.token_endpoint())
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("it answers");
    (answer.status().as_u16(), answer.json().await.expect("it answers JSON"))
}

fn refresh_request(server: &AuthorizationServer, token: &str) -> RequestBuilder {
    let secret = server.client_secret(CLIENT);
    request(server).form(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", CLIENT),
        ("client_secret", &secret),
    ])
}

async fn refresh(server: &AuthorizationServer, token: &str) -> (u16, Value) {
    answer(refresh_request(server, token)).await
}

/// For answers without a body.
async fn refresh_status(server: &AuthorizationServer, token: &str) -> u16 {
    let answer = refresh_request(server, token).send().await.expect("it answers");
    answer.status().as_u16()
}

fn refresh_token(body: &Value) -> String {
    body["refresh_token"].as_str().expect("it has a refresh token").to_owned()
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_successor_goes_on() {
    let server = start().await;
    let first = server.seed();
    assert!(first.starts_with(REFRESH_TOKEN_PREFIX));

    let (status, body) = refresh(&server, &first).await;
    assert_eq!(status, 200);
    assert_eq!(body["expires_in"], 3600);
    let access_token = body["access_token"].as_str().expect("it has an access token");
    assert!(access_token.starts_with(ACCESS_TOKEN_PREFIX));
    assert!(server.accepts(access_token));
    let second = refresh_token(&body);
    assert_ne!(second, first);
    assert!(server.is_live(&second) && !server.is_live(&first));
    assert_eq!(refresh(&server, &second).await.0, 200);
    let counts = server.counts();
    assert_eq!((counts.rotations, counts.reuses, counts.live_refresh_tokens), (2, 0, 1));
}

#[tokio::test]
async fn presenting_a_used_refresh_token_ends_its_lineage_and_no_other() {
    let server = start().await;
    let (first, other) = (server.seed(), server.seed());
    let second = refresh_token(&refresh(&server, &first).await.1);

    assert_eq!(refresh(&server, &first).await, (400, json!({"error": "invalid_grant"})));
    assert_eq!(refresh(&server, &second).await.0, 400);
    assert_eq!(refresh(&server, &other).await.0, 200);
    let counts = server.counts();
    assert_eq!((counts.reuses, counts.refusals, counts.live_refresh_tokens), (1, 2, 1));
}

#[tokio::test]
async fn client_credentials_work_by_basic_and_in_a_json_body() {
    let server = start().await;
    let secret = server.client_secret(CLIENT);
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = request(&server)
        .basic_auth(encode(CLIENT), Some(encode(&secret)))
        .form(&[("grant_type", "client_credentials")]);
    let (status, body) = answer(basic).await;
    assert_eq!((status, body.get("refresh_token")), (200, None));

    let json = json!({
        "grant_type": "client_credentials", "client_id": CLIENT, "client_secret": secret,
    });
    assert_eq!(answer(request(&server).json(&json)).await.0, 200);
    let issues = server.take_issues();
    assert!(issues.len() == 2 && issues.iter().all(|issue| issue.client_id == CLIENT));
}

#[tokio::test]
async fn a_wrong_secret_or_none_is_refused_and_spends_nothing() {
    let server = start().await;
    let seed = server.seed();
    let wrong = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &seed),
        ("client_id", CLIENT),
        ("client_secret", "wrong"),
    ];
    let refused = (401, json!({"error": "invalid_client"}));
    assert_eq!(answer(request(&server).form(&wrong)).await, refused);
    assert_eq!(answer(request(&server).form(&wrong[..2])).await, refused);
    assert_eq!(
        answer(request(&server).form(&[("grant_type", "client_credentials")])).await,
        refused
    );
    assert!(server.is_live(&seed));

    let public = server.seed_public();
    let none = json!({"grant_type": "refresh_token", "refresh_token": public});
    assert_eq!(answer(request(&server).json(&none)).await.0, 200);
}

#[tokio::test]
async fn access_tokens_expire_and_the_resource_says_so() {
    let server = start().await;
    server.set_access_token_lifetime(Duration::ZERO);
    let body = refresh(&server, &server.seed()).await.1;
    let token = body["access_token"].as_str().expect("it has an access token");
    let get = |token: &str| http_client::new().get(server.resource_url()).bearer_auth(token).send();
    assert_eq!(get(token).await.expect("it answers").status(), 401);

    server.set_access_token_lifetime(Duration::from_secs(60));
    let next = refresh_token(&body);
    let body = refresh(&server, &next).await.1;
    let token = body["access_token"].as_str().expect("it has an access token");
    assert_eq!(get(token).await.expect("it answers").status(), 200);
}

/// A server that lets a spent refresh token be presented again for that long.
async fn start_with_window(window: Duration) -> AuthorizationServer {
    let options = ServerOptions { reuse_window: Some(window), ..ServerOptions::default() };
    AuthorizationServer::start(options).await
}

fn state(server: &AuthorizationServer, refresh_token: &str) -> LineageState {
    server.lineage(server.lineage_of(refresh_token).expect("it was issued here"))
}

async fn revoke(server: &AuthorizationServer, token: &str, secret: &str) -> u16 {
    let form = [("token", token), ("client_id", CLIENT), ("client_secret", secret)];
    let request = http_client::new().post(server.revocation_endpoint()).form(&form);
    request.send().await.expect("it answers").status().as_u16()
}

#[tokio::test]
async fn within_the_window_the_token_spent_last_is_repeated_and_every_answer_is_good() {
    let server = start_with_window(Duration::from_secs(3600)).await;
    let first = server.seed();
    let second = refresh_token(&refresh(&server, &first).await.1);
    let third = refresh_token(&refresh(&server, &first).await.1);
    assert!(!server.is_live(&first) && server.is_live(&second) && server.is_live(&third));

    let fourth = refresh_token(&refresh(&server, &second).await.1);
    assert!(server.is_live(&fourth) && !server.is_live(&third));
    let known = state(&server, &first);
    assert_eq!((&known.newest, known.ended), (&fourth, None));
    assert_eq!((known.rotations, known.repeats, known.reuses), (3, 1, 0));
    assert!(known.rotated_at.is_some());

    // Not the last one any more.
    assert_eq!(refresh(&server, &first).await.0, 400);
    assert_eq!(state(&server, &first).ended, Some(Ending::Reuse));
    assert!(!server.is_live(&fourth));
    let counts = server.counts();
    assert_eq!((counts.repeats, counts.reuses, counts.live_refresh_tokens), (1, 1, 0));
}

#[tokio::test]
async fn after_the_window_a_repeated_token_ends_the_lineage_with_its_access_tokens() {
    let server = start_with_window(Duration::from_secs(3600)).await;
    let first = server.seed();
    let body = refresh(&server, &first).await.1;
    let access_token = body["access_token"].as_str().expect("it has an access token");
    assert!(server.accepts(access_token));
    server.set_reuse_window(Some(Duration::ZERO));
    assert_eq!(refresh(&server, &first).await, (400, json!({"error": "invalid_grant"})));
    assert!(!server.is_live(&refresh_token(&body)) && !server.accepts(access_token));
}

#[tokio::test]
async fn a_revoked_refresh_token_ends_its_lineage() {
    let server = start().await;
    let secret = server.client_secret(CLIENT);
    let first = server.seed();
    let second = refresh_token(&refresh(&server, &first).await.1);
    assert_eq!(revoke(&server, &second, "wrong").await, 401);
    assert!(server.is_live(&second));

    assert_eq!(revoke(&server, &second, &secret).await, 200);
    assert_eq!(revoke(&server, &second, &secret).await, 200);
    assert_eq!(revoke(&server, "unknown", &secret).await, 200);
    assert_eq!(refresh(&server, &second).await.0, 400);
    let known = state(&server, &first);
    assert_eq!((&known.newest, known.ended), (&second, Some(Ending::Revocation)));
    let counts = server.counts();
    assert_eq!((counts.revocations, counts.reuses, counts.refusals), (1, 0, 1));
}

#[tokio::test]
async fn faults_come_in_order_and_only_one_kind_spends_the_token() {
    let server = start().await;
    let seed = server.seed();
    server.fail_next(1, Fault::Unavailable);
    server.fail_next(1, Fault::ErrorUnspent);
    server.fail_next(2, Fault::InvalidGrant);
    for status in [503, 500, 400, 400] {
        assert_eq!(refresh_status(&server, &seed).await, status);
    }
    assert_eq!((server.counts().rotations, server.is_live(&seed)), (0, true));

    server.fail_next(1, Fault::ErrorSpent);
    assert_eq!(refresh_status(&server, &seed).await, 500);
    let known = state(&server, &seed);
    assert_eq!((known.rotations, known.withheld), (1, 1));
    assert!(server.is_live(&known.newest) && !server.is_live(&seed));
    assert_eq!(refresh(&server, &known.newest).await.0, 200);
    let counts = server.counts();
    assert_eq!((counts.requests, counts.faults, counts.refusals), (6, 5, 0));
}

#[tokio::test]
async fn a_request_is_carried_out_although_its_client_has_gone() {
    let server = start().await;
    server.set_delay(Duration::from_millis(100));
    let seed = server.seed();
    let gone = async {
        wait::until("it is asked", SOON, || async { (server.counts().requests > 0).then_some(()) })
            .await;
    };
    tokio::select! {
        status = refresh_status(&server, &seed) => panic!("answered {status} before its delay"),
        () = gone => {}
    }
    wait::until("it rotates", SOON, || async { (!server.is_live(&seed)).then_some(()) }).await;
}
