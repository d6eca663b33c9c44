use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{ACCESS_TOKEN_PREFIX, AuthorizationServer, REFRESH_TOKEN_PREFIX, ServerOptions};
use crate::http_client;

const CLIENT: &str = "a:client/ö";

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

async fn refresh(server: &AuthorizationServer, token: &str) -> (u16, Value) {
    let secret = server.client_secret(CLIENT);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", CLIENT),
        ("client_secret", &secret),
    ];
    answer(request(server).form(&form)).await
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
