//! The documented servers answer as their vendors document.

use oauth_keeper_test_support::documented::itflex::Itflex;
use oauth_keeper_test_support::documented::rd_station::{RdStation, RefreshTokenInAnswer};
use reqwest::{Client, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};

fn client() -> Client {
    Client::builder().no_proxy().build().expect("it can be made")
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.expect("it answers");
    (answer.status(), answer.json().await.unwrap_or_default())
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is a string").to_owned()
}

fn rd_station_request(server: &RdStation, refresh_token: &str) -> RequestBuilder {
    client().post(server.token_endpoint()).form(&[
        ("grant_type", "refresh_token"),
        ("client_id", server.client_id()),
        ("client_secret", server.client_secret()),
        ("refresh_token", refresh_token),
    ])
}

#[tokio::test]
async fn rd_station_replaces_refresh_tokens_and_tells_reuse() {
    let server = RdStation::start().await;
    let seed = server.refresh_token();

    let (status, body) = answer(rd_station_request(&server, &seed)).await;
    assert_eq!((status, &body["expires_in"]), (StatusCode::OK, &json!(86_400)));
    assert_eq!(body["refresh_token"], server.refresh_token());
    let (status, body) = answer(rd_station_request(&server, &seed)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body["errors"]["error_type"], "INVALID_REFRESH_TOKEN");
    assert_eq!((server.rotations(), server.reuses()), (1, 1));
    assert_eq!(server.token_requests().len(), 2);
}

#[tokio::test]
async fn rd_station_takes_json_and_need_not_replace() {
    let server = RdStation::start().await;
    server.set_refresh_token_in_answer(RefreshTokenInAnswer::Left);
    let seed = server.refresh_token();
    let request = client().post(server.token_endpoint()).json(&json!({
        "grant_type": "refresh_token",
        "client_id": server.client_id(),
        "client_secret": server.client_secret(),
        "refresh_token": seed,
    }));
    let (status, body) = answer(request).await;
    assert_eq!((status, body.get("refresh_token")), (StatusCode::OK, None));

    let get = |token: String| client().get(server.contacts_url()).bearer_auth(token);
    let token = text(&body["access_token"]);
    assert_eq!(answer(get(token.clone())).await.0, StatusCode::OK);
    server.revoke_access_tokens();
    assert_eq!(answer(get(token)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(answer(get(seed)).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn itflex_takes_two_members_and_sets_two_cookies() {
    let server = Itflex::start().await;
    let seed = server.refresh_token();
    let body = json!({"grant_type": "refresh_token", "refresh_token": seed});
    let answered = client().post(server.token_endpoint()).json(&body).send().await;
    let answered = answered.expect("it answers");

    let cookies: Vec<String> = answered
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|value| value.to_str().expect("a cookie is text").to_owned())
        .collect();
    let token_set: Value = answered.json().await.expect("it answers JSON");
    let access_token = text(&token_set["access_token"]);
    assert_eq!(token_set["expires_in"], 900);
    assert_eq!(
        cookies,
        [
            format!(
                "refresh-token={}; Max-Age=2592000; Path=/; HttpOnly; Secure",
                server.refresh_token()
            ),
            format!("access-token={access_token}; Max-Age=15; Path=/; HttpOnly; Secure"),
        ]
    );
    let get = || client().get(server.protected_url());
    assert_eq!(answer(get().bearer_auth(&access_token)).await.0, StatusCode::OK);
    let cookie = format!("a=b; access-token={access_token}");
    assert_eq!(answer(get().header(header::COOKIE, cookie)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn itflex_refuses_all_else_without_an_oauth_code() {
    let server = Itflex::start().await;
    let seed = server.refresh_token();
    let refusal = (StatusCode::UNAUTHORIZED, json!({"msg": "Valid authentication token required"}));
    let more = json!({"grant_type": "refresh_token", "refresh_token": seed, "client_id": ""});
    assert_eq!(answer(client().post(server.token_endpoint()).json(&more)).await, refusal);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*seed)];
    assert_eq!(answer(client().post(server.token_endpoint()).form(&form)).await, refusal);
    assert_eq!(answer(client().get(server.protected_url())).await, refusal);
    assert_eq!(server.rotations(), 0);
}

#[tokio::test]
async fn itflex_gives_an_access_cookie_for_the_refresh_cookie() {
    let server = Itflex::start().await;
    let cookie = format!("refresh-token={}", server.refresh_token());
    let request = client().get(server.protected_url()).header(header::COOKIE, cookie);
    let answered = request.send().await.expect("it answers");
    assert_eq!(answered.status(), StatusCode::OK);
    let given = answered.headers()[header::SET_COOKIE].to_str().expect("a cookie is text");
    let token = server.access_token().expect("one was issued");
    assert_eq!(given, format!("access-token={token}; Max-Age=15; Path=/; HttpOnly; Secure"));
}
