//! The contract with token endpoints over a real socket: each grant with each client authentication and encoding, byte for
//! byte, and what the transport refuses to do.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test ends at the first surprise, and a table of cases is long"
)]

use std::sync::Arc;

use oauth_keeper::oauth::address::AddressPolicy;
use oauth_keeper::oauth::client_auth::{BasicForm, ClientAuth};
use oauth_keeper::oauth::cookie_session::{self, CookieNames};
use oauth_keeper::oauth::error::TokenError;
use oauth_keeper::oauth::jwt::{Algorithm, SigningKey};
use oauth_keeper::oauth::jwt_bearer::JwtBearer;
use oauth_keeper::oauth::request::{
    Encoding, GrantInput, RequestStyle, TokenCall, TokenRequest, Wanted, build,
};
use oauth_keeper::oauth::response::{Ending, ResponseStyle, parse};
use oauth_keeper::oauth::secret::{Assertion, ClientSecret, GivenToken, Password, RefreshToken};
use oauth_keeper::oauth::token_exchange::{ACCESS_TOKEN_TYPE, JWT_TYPE, TokenExchange, TypedToken};
use oauth_keeper::oauth::transport::{SPEND_TIMEOUT, SendGuard, Transport};
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use url::Url;

const FOR_TESTS: AddressPolicy =
    AddressPolicy { allow_http: true, allow_loopback: true, deny_private: false, api_server: &[] };

fn transport(policy: AddressPolicy) -> Transport {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Transport::new(policy).unwrap()
}

fn request(url: &str, client: &ClientAuth, grant: &GrantInput, encoding: Encoding) -> TokenRequest {
    let endpoint = Url::parse(url).unwrap();
    build(&TokenCall {
        endpoint: &endpoint,
        client,
        grant,
        wanted: Wanted { scopes: &["a".to_owned(), "b".to_owned()], ..Wanted::default() },
        style: &RequestStyle { encoding, ..RequestStyle::default() },
    })
}

fn refresh() -> GrantInput {
    GrantInput::RefreshToken(RefreshToken::new("r t"))
}

#[tokio::test]
async fn every_grant_with_every_client_authentication_and_encoding() {
    let secret = || ClientSecret::new("s:e");
    let none = ClientAuth::None { client_id: None };
    let public = ClientAuth::None { client_id: Some("i d".into()) };
    let basic = ClientAuth::Basic {
        client_id: "i d".into(),
        client_secret: secret(),
        form: BasicForm::Encoded,
    };
    let post = ClientAuth::Post { client_id: "i d".into(), client_secret: secret() };
    let authorization = "authorization: Basic aStkOnMlM0Fl\r\n"; // i+d:s%3Ae
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    let cases = [
        (
            &none,
            refresh(),
            Encoding::Form,
            "",
            form,
            "grant_type=refresh_token&refresh_token=r+t&scope=a+b",
        ),
        (
            &none,
            refresh(),
            Encoding::Json,
            "",
            json,
            r#"{"grant_type":"refresh_token","refresh_token":"r t","scope":"a b"}"#,
        ),
        (
            &public,
            refresh(),
            Encoding::Form,
            "",
            form,
            "grant_type=refresh_token&client_id=i+d&refresh_token=r+t&scope=a+b",
        ),
        (
            &public,
            refresh(),
            Encoding::Json,
            "",
            json,
            r#"{"grant_type":"refresh_token","client_id":"i d","refresh_token":"r t","scope":"a b"}"#,
        ),
        (
            &basic,
            refresh(),
            Encoding::Form,
            authorization,
            form,
            "grant_type=refresh_token&refresh_token=r+t&scope=a+b",
        ),
        (
            &basic,
            refresh(),
            Encoding::Json,
            authorization,
            json,
            r#"{"grant_type":"refresh_token","refresh_token":"r t","scope":"a b"}"#,
        ),
        (
            &post,
            refresh(),
            Encoding::Form,
            "",
            form,
            "grant_type=refresh_token&client_id=i+d&client_secret=s%3Ae&refresh_token=r+t&scope=a+b",
        ),
        (
            &post,
            refresh(),
            Encoding::Json,
            "",
            json,
            r#"{"grant_type":"refresh_token","client_id":"i d","client_secret":"s:e","refresh_token":"r t","scope":"a b"}"#,
        ),
        (
            &basic,
            GrantInput::ClientCredentials,
            Encoding::Form,
            authorization,
            form,
            "grant_type=client_credentials&scope=a+b",
        ),
        (
            &basic,
            GrantInput::ClientCredentials,
            Encoding::Json,
            authorization,
            json,
            r#"{"grant_type":"client_credentials","scope":"a b"}"#,
        ),
        (
            &post,
            GrantInput::ClientCredentials,
            Encoding::Form,
            "",
            form,
            "grant_type=client_credentials&client_id=i+d&client_secret=s%3Ae&scope=a+b",
        ),
        (
            &post,
            GrantInput::ClientCredentials,
            Encoding::Json,
            "",
            json,
            r#"{"grant_type":"client_credentials","client_id":"i d","client_secret":"s:e","scope":"a b"}"#,
        ),
    ];
    let transport = transport(FOR_TESTS);
    for (client, grant, encoding, authorization, content_type, body) in cases {
        let server = ScriptedServer::start().await;
        server.always(Answer::json(200, &serde_json::json!({})));
        transport
            .spend(
                &request(&server.url("/token"), client, &grant, encoding),
                SPEND_TIMEOUT,
                always(),
            )
            .await
            .unwrap();
        let recorded = server.requests().remove(0);
        let head = String::from_utf8(recorded.head_bytes).unwrap();
        let expected = format!(
            "POST /token HTTP/1.1\r\naccept: application/json\r\ncontent-type: {content_type}\r\n{authorization}\
             user-agent: oauth-keeper/{}\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            env!("CARGO_PKG_VERSION"),
            server.address(),
            body.len()
        );
        assert_eq!(head, expected);
        assert_eq!(String::from_utf8(recorded.body).unwrap(), body);
    }
}

fn signed_grant() -> GrantInput {
    let key = SigningKey::of_secret(Algorithm::HS256, &ClientSecret::new("s")).unwrap();
    GrantInput::JwtBearer(Box::new(JwtBearer {
        issuer: "i".into(),
        subject: None,
        audience: None,
        lifetime_seconds: 60,
        claims: std::collections::BTreeMap::default(),
        key,
        key_id: None,
        assertion: Some(Assertion::new("H.C-_.S")),
    }))
}

#[tokio::test]
async fn assertions_of_clients_and_grants() {
    let none = ClientAuth::None { client_id: None };
    let post = ClientAuth::Post { client_id: "i d".into(), client_secret: ClientSecret::new("s") };
    let signing =
        ClientAuth::Assertion { client_id: "i d".into(), assertion: Assertion::new("h.c-_.s") };
    let proof = "client_id=i+d&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=h.c-_.s";
    let jwt_bearer = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    let json_proof = r#""client_id":"i d","client_assertion_type":"urn:ietf:params:oauth:client-assertion-type:jwt-bearer","client_assertion":"h.c-_.s""#;
    let json_bearer = r#""grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer""#;
    let credentials = GrantInput::ClientCredentials;
    let cases = [
        (
            &signing,
            refresh(),
            format!("grant_type=refresh_token&{proof}&refresh_token=r+t&scope=a+b"),
        ),
        (&signing, credentials.clone(), format!("grant_type=client_credentials&{proof}&scope=a+b")),
        (&none, signed_grant(), format!("{jwt_bearer}&assertion=H.C-_.S&scope=a+b")),
        (
            &post,
            signed_grant(),
            format!("{jwt_bearer}&client_id=i+d&client_secret=s&assertion=H.C-_.S&scope=a+b"),
        ),
        (&signing, signed_grant(), format!("{jwt_bearer}&{proof}&assertion=H.C-_.S&scope=a+b")),
        (
            &signing,
            refresh(),
            format!(
                r#"{{"grant_type":"refresh_token",{json_proof},"refresh_token":"r t","scope":"a b"}}"#
            ),
        ),
        (
            &signing,
            credentials,
            format!(r#"{{"grant_type":"client_credentials",{json_proof},"scope":"a b"}}"#),
        ),
        (
            &signing,
            signed_grant(),
            format!(r#"{{{json_bearer},{json_proof},"assertion":"H.C-_.S","scope":"a b"}}"#),
        ),
    ];
    let transport = transport(FOR_TESTS);
    for (client, grant, body) in cases {
        let server = ScriptedServer::start().await;
        server.always(Answer::json(200, &serde_json::json!({})));
        let encoding = if body.starts_with('{') { Encoding::Json } else { Encoding::Form };
        let request = request(&server.url("/token"), client, &grant, encoding);
        transport.send(&request).await.unwrap();
        let recorded = server.requests().remove(0);
        assert_eq!(recorded.header("authorization"), None);
        assert_eq!(recorded.text(), body);
    }
}

fn always() -> SendGuard {
    Arc::new(|| true)
}

/// What a grant puts between client and scope, as a form and as JSON.
type Between = (GrantInput, &'static str, &'static str, &'static str, &'static str);

fn grants_of_other_kinds() -> [Between; 2] {
    let typed = |token: &str, token_type: &str| TypedToken {
        token: Some(GivenToken::new(token)),
        token_type: token_type.to_owned(),
    };
    let exchange = TokenExchange {
        subject: typed("s.t", ACCESS_TOKEN_TYPE),
        actor: Some(typed("a.t", JWT_TYPE)),
        requested_type: Some(JWT_TYPE.to_owned()),
    };
    let password = GrantInput::Password { username: "me@x".into(), password: Password::new("p+w") };
    [
        (
            password,
            "grant_type=password",
            "&username=me%40x&password=p%2Bw",
            r#""grant_type":"password""#,
            r#","username":"me@x","password":"p+w""#,
        ),
        (
            GrantInput::TokenExchange(Box::new(exchange)),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange",
            "&subject_token=s.t&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
             &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt\
             &actor_token=a.t&actor_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt",
            r#""grant_type":"urn:ietf:params:oauth:grant-type:token-exchange""#,
            concat!(
                r#","subject_token":"s.t","subject_token_type":"urn:ietf:params:oauth:token-type:access_token","#,
                r#""requested_token_type":"urn:ietf:params:oauth:token-type:jwt","#,
                r#""actor_token":"a.t","actor_token_type":"urn:ietf:params:oauth:token-type:jwt""#
            ),
        ),
    ]
}

#[tokio::test]
async fn grants_of_other_kinds_with_every_client_authentication_and_encoding() {
    let secret = || ClientSecret::new("s:e");
    let basic = |form| ClientAuth::Basic { client_id: "i d".into(), client_secret: secret(), form };
    let clients = [
        (ClientAuth::None { client_id: None }, "", "", ""),
        (
            ClientAuth::None { client_id: Some("i d".into()) },
            "&client_id=i+d",
            r#","client_id":"i d""#,
            "",
        ),
        (basic(BasicForm::Encoded), "", "", "authorization: Basic aStkOnMlM0Fl\r\n"),
        (basic(BasicForm::Plain), "", "", "authorization: Basic aSBkOnM6ZQ==\r\n"),
        (basic(BasicForm::SecretAlone), "", "", "authorization: Basic czplOg==\r\n"),
        (
            ClientAuth::Post { client_id: "i d".into(), client_secret: secret() },
            "&client_id=i+d&client_secret=s%3Ae",
            r#","client_id":"i d","client_secret":"s:e""#,
            "",
        ),
    ];
    let transport = transport(FOR_TESTS);
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &serde_json::json!({})));
    for (grant, form_type, form_rest, json_type, json_rest) in grants_of_other_kinds() {
        for (client, in_form, in_json, authorization) in &clients {
            let form = format!("{form_type}{in_form}{form_rest}&scope=a+b");
            let json = format!("{{{json_type}{in_json}{json_rest},\"scope\":\"a b\"}}");
            let encodings = [
                (Encoding::Form, "application/x-www-form-urlencoded", form),
                (Encoding::Json, "application/json", json),
            ];
            for (encoding, content_type, body) in encodings {
                let request = request(&server.url("/token"), client, &grant, encoding);
                transport.send(&request).await.unwrap();
                let recorded = server.requests().pop().unwrap();
                let head = format!(
                    "POST /token HTTP/1.1\r\naccept: application/json\r\ncontent-type: {content_type}\r\n{authorization}\
                     user-agent: oauth-keeper/{}\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
                    env!("CARGO_PKG_VERSION"),
                    server.address(),
                    body.len()
                );
                assert_eq!(String::from_utf8(recorded.head_bytes).unwrap(), head);
                assert_eq!(String::from_utf8(recorded.body).unwrap(), body);
            }
        }
    }
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
         user-agent: oauth-keeper/{}\r\nhost: {}\r\n\r\n",
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
    let none = ClientAuth::None { client_id: None };
    let other = self::request(&server.url("/t"), &none, &refresh(), Encoding::Form);
    let answer = transport(FOR_TESTS).spend(&other, SPEND_TIMEOUT, always()).await.unwrap();
    assert!(answer.set_cookies.is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let (server, elsewhere) = (ScriptedServer::start().await, ScriptedServer::start().await);
        server.always(Answer::status(status).header("location", &elsewhere.url("/token")));
        let none = ClientAuth::None { client_id: None };
        let sent = transport(FOR_TESTS)
            .spend(
                &request(&server.url("/token"), &none, &refresh(), Encoding::Form),
                SPEND_TIMEOUT,
                always(),
            )
            .await;
        assert_eq!(sent.unwrap().status, status);
        assert_eq!(elsewhere.connections(), 0);
    }
}

#[tokio::test]
async fn spent_tokens_go_over_a_connection_of_their_own_and_others_share_one() {
    let none = ClientAuth::None { client_id: None };
    for (spends, connections) in [(true, 3), (false, 1)] {
        let server = ScriptedServer::start().await;
        server.always(Answer::json(200, &serde_json::json!({})));
        let transport = transport(FOR_TESTS);
        for _ in 0..3 {
            let request = request(&server.url("/t"), &none, &refresh(), Encoding::Form);
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
    let none = ClientAuth::None { client_id: None };
    let transport = transport(FOR_TESTS);
    let send = async |url: String| {
        let request = request(&url, &none, &refresh(), Encoding::Form);
        transport.spend(&request, SPEND_TIMEOUT, always()).await
    };
    let closed = {
        let server = ScriptedServer::start().await;
        server.url("/t")
    };
    assert!(matches!(send(closed).await, Err(TokenError::Unreachable(_))));
    assert!(matches!(
        send("http://no-such-host.invalid/t".into()).await,
        Err(TokenError::Unreachable(_))
    ));
    let server = ScriptedServer::start().await;
    server.queue(Answer::close());
    assert!(matches!(send(server.url("/t")).await, Err(TokenError::OutcomeUnknown(_))));
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
    let none = ClientAuth::None { client_id: None };
    let request = request(&server.url("/t"), &none, &refresh(), Encoding::Form);
    let never = Arc::new(|| false);
    let sent = transport(FOR_TESTS).spend(&request, SPEND_TIMEOUT, never).await;
    assert!(matches!(sent, Err(TokenError::NotSent(_))));
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn large_answers_are_not_read_to_their_end() {
    let server = ScriptedServer::start().await;
    server.always(Answer::body(200, "application/json", vec![b' '; 300 * 1024]));
    let none = ClientAuth::None { client_id: None };
    let sent = transport(FOR_TESTS)
        .spend(
            &request(&server.url("/t"), &none, &refresh(), Encoding::Form),
            SPEND_TIMEOUT,
            always(),
        )
        .await
        .unwrap();
    assert_eq!((sent.ending, sent.body.len()), (Ending::TooLarge, 256 * 1024));
}

#[tokio::test]
async fn denied_addresses_see_no_connection() {
    let server = ScriptedServer::start().await;
    let none = ClientAuth::None { client_id: None };
    let port = server.address().port();
    let strict = AddressPolicy { allow_http: true, ..AddressPolicy::default() };
    for url in [
        format!("http://127.0.0.1:{port}/t"),
        format!("http://localhost:{port}/t"),
        format!("http://[::ffff:127.0.0.1]:{port}/t"),
    ] {
        let sent = transport(strict)
            .spend(&request(&url, &none, &refresh(), Encoding::Form), SPEND_TIMEOUT, always())
            .await;
        assert!(matches!(sent, Err(TokenError::Denied(_))), "{url}");
    }
    let sent = transport(AddressPolicy { allow_loopback: true, ..AddressPolicy::default() })
        .spend(
            &request(&server.url("/t"), &none, &refresh(), Encoding::Form),
            SPEND_TIMEOUT,
            always(),
        )
        .await;
    assert!(matches!(sent, Err(TokenError::Denied(_))));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = ScriptedServer::start().await;
    server.always(Answer::hang());
    let none = ClientAuth::None { client_id: None };
    let transport = transport(FOR_TESTS);
    let request = request(&server.url("/t"), &none, &refresh(), Encoding::Form);
    let sent =
        tokio::time::timeout(SPEND_TIMEOUT * 2, transport.spend(&request, SPEND_TIMEOUT, always()))
            .await
            .unwrap();
    assert!(matches!(sent, Err(TokenError::OutcomeUnknown(text)) if text.contains("120 seconds")));
}
