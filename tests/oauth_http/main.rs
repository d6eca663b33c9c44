//! The contract with token endpoints over a real socket: each grant with each client authentication and way of writing, byte
//! for byte, and what the transport refuses to do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

mod contract;
mod crd;
mod server;

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper::oauth::address::AddressPolicy;
use oauth_keeper::oauth::client_auth::ClientAuth;
use oauth_keeper::oauth::cookie_session::{self, CookieNames};
use oauth_keeper::oauth::error::TokenError;
use oauth_keeper::oauth::request::{
    GrantInput, RequestStyle, TokenCall, TokenRequest, Wanted, build,
};
use oauth_keeper::oauth::response::{Ending, ResponseStyle, parse};
use oauth_keeper::oauth::secret::RefreshToken;
use oauth_keeper::oauth::transport::{SPEND_TIMEOUT, SendGuard, Transport};
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use url::Url;

const FOR_TESTS: AddressPolicy =
    AddressPolicy { allow_http: true, allow_loopback: true, deny_private: false, api_server: &[] };

fn transport(policy: AddressPolicy) -> Transport {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Transport::new(policy).unwrap()
}

/// Of a client without a name.
fn request(url: &str) -> TokenRequest {
    build(&TokenCall {
        endpoint: &Url::parse(url).unwrap(),
        client: &ClientAuth::None { client_id: None },
        grant: &GrantInput::RefreshToken(RefreshToken::new("r t")),
        wanted: Wanted::default(),
        style: &RequestStyle::default(),
    })
}

fn always() -> SendGuard {
    Arc::new(|| true)
}

#[tokio::test]
async fn a_cookie_session_is_a_call_with_one_cookie_and_its_answer_is_cookies() {
    let server = ScriptedServer::start().await;
    let page = Answer::body(404, "text/html", vec![b' '; 300 * 1024]);
    server
        .always(page.header("Set-Cookie", "a=at; Max-Age=15").header("Set-Cookie", "r=rt; Secure"));
    let names = CookieNames { refresh: "r".into(), access: "a".into() };
    let url = Url::parse(&server.url("/me?x=1")).unwrap();
    let token = RefreshToken::new("r t");
    let request = cookie_session::request(&url, &names, &token, &http::HeaderMap::new());
    let answer = transport(FOR_TESTS).spend(&request, SPEND_TIMEOUT, always()).await.unwrap();
    let recorded = server.requests().remove(0);
    let head = format!(
        "GET /me?x=1 HTTP/1.1\r\naccept: application/json\r\ncookie: r=r t\r\n\
         accept-encoding: identity\r\nuser-agent: oauth-keeper/{}\r\nhost: {}\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
        server.address(),
    );
    assert_eq!(String::from_utf8(recorded.head_bytes).unwrap(), head);
    assert_eq!(recorded.body, b"");
    let style = ResponseStyle { cookies: Some(names), ..ResponseStyle::default() };
    let set = parse(&answer, &style, true).unwrap();
    assert_eq!(set.access_token.expose(), "at");
    assert_eq!(set.refresh_token, Some(RefreshToken::new("rt")));

    // Of who sent no cookie none is kept.
    let other = self::request(&server.url("/t"));
    let answer = transport(FOR_TESTS).spend(&other, SPEND_TIMEOUT, always()).await.unwrap();
    assert!(answer.set_cookies.is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (server, elsewhere) = (ScriptedServer::start().await, ScriptedServer::start().await);
        server.always(Answer::status(status).header("location", &elsewhere.url("/token")));
        let sent = transport(FOR_TESTS)
            .spend(&request(&server.url("/token")), SPEND_TIMEOUT, always())
            .await;
        assert_eq!(sent.unwrap().status, status);
        assert_eq!(elsewhere.connections(), 0);
    }
}

#[tokio::test]
async fn spent_tokens_go_over_a_connection_of_their_own_and_others_share_one() {
    for (spends, connections) in [(true, 3), (false, 1)] {
        let server = ScriptedServer::start().await;
        server.always(Answer::json(200, &serde_json::json!({})));
        let transport = transport(FOR_TESTS);
        for _ in 0..3 {
            let request = request(&server.url("/t"));
            let sent = if spends {
                transport.spend(&request, SPEND_TIMEOUT, always()).await
            } else {
                transport.send(&request).await
            };
            sent.unwrap();
        }
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn what_was_not_sent_is_told_from_what_may_have_been() {
    let transport = transport(FOR_TESTS);
    let send = async |url: String| {
        let request = request(&url);
        transport.spend(&request, SPEND_TIMEOUT, always()).await
    };
    let closed = {
        let server = ScriptedServer::start().await;
        server.url("/t")
    };
    assert!(matches!(send(closed).await, Err(TokenError::Unreachable(..))));
    assert!(matches!(
        send("http://no-such-host.invalid/t".into()).await,
        Err(TokenError::Unreachable(..))
    ));
    let server = ScriptedServer::start().await;
    server.queue(Answer::close());
    assert!(matches!(send(server.url("/t")).await, Err(TokenError::OutcomeUnknown(..))));
    let whole = Answer::json(200, &serde_json::json!({"access_token": "0123456789"}));
    let all_but_the_last = whole.bytes().len() - 1;
    server.queue(whole.cut_after(all_but_the_last));
    let broken_off = send(server.url("/t")).await.unwrap();
    assert_eq!(broken_off.ending, Ending::BrokenOff);
}

#[tokio::test]
async fn a_guard_that_says_no_keeps_the_first_byte_from_going_out() {
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &serde_json::json!({})));
    let request = request(&server.url("/t"));
    let never = Arc::new(|| false);
    let sent = transport(FOR_TESTS).spend(&request, SPEND_TIMEOUT, never).await;
    assert!(matches!(sent, Err(TokenError::NotSent(_))));
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn large_answers_are_not_read_to_their_end() {
    let server = ScriptedServer::start().await;
    server.always(Answer::body(200, "application/json", vec![b' '; 300 * 1024]));
    let sent = transport(FOR_TESTS)
        .spend(&request(&server.url("/t")), SPEND_TIMEOUT, always())
        .await
        .unwrap();
    assert_eq!((sent.ending, sent.body.len()), (Ending::TooLarge, 256 * 1024));
}

#[tokio::test]
async fn denied_addresses_see_no_connection() {
    let server = ScriptedServer::start().await;
    let port = server.address().port();
    let strict = AddressPolicy { allow_http: true, ..AddressPolicy::default() };
    for url in [
        format!("http://127.0.0.1:{port}/t"),
        format!("http://localhost:{port}/t"),
        format!("http://[::ffff:127.0.0.1]:{port}/t"),
    ] {
        let sent = transport(strict).spend(&request(&url), SPEND_TIMEOUT, always()).await;
        assert!(matches!(sent, Err(TokenError::Denied(_))), "{url}");
    }
    let sent = transport(AddressPolicy { allow_loopback: true, ..AddressPolicy::default() })
        .spend(&request(&server.url("/t")), SPEND_TIMEOUT, always())
        .await;
    assert!(matches!(sent, Err(TokenError::Denied(_))));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = ScriptedServer::start().await;
    server.always(Answer::hang());
    let transport = transport(FOR_TESTS);
    let request = request(&server.url("/t"));
    let limit = Duration::from_secs(2);
    let sent = tokio::time::timeout(SPEND_TIMEOUT, transport.spend(&request, limit, always()))
        .await
        .unwrap();
    assert!(matches!(sent, Err(TokenError::OutcomeUnknown(text, _)) if text.contains("2 seconds")));
}
