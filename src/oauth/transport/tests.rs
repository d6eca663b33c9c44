use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};

use super::*;
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::request::{GrantInput, RequestStyle, TokenCall, Wanted, build};

const POLICY: AddressPolicy =
    AddressPolicy { allow_http: true, allow_loopback: true, deny_private: false, api_server: &[] };

fn request(url: &str) -> TokenRequest {
    build(&TokenCall {
        endpoint: &url.parse().unwrap(),
        client: &ClientAuth::None { client_id: None },
        grant: &GrantInput::ClientCredentials,
        wanted: Wanted::default(),
        style: &RequestStyle::default(),
    })
}

/// Gives one list of addresses after the other, and counts how often it was asked.
fn flipping(answers: &'static [&'static [&'static str]]) -> (Lookup, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        let at = counter.fetch_add(1, Ordering::Relaxed);
        let addresses = answers[at].iter().map(|address| address.parse::<IpAddr>().unwrap());
        let addresses = addresses.map(|address| SocketAddr::new(address, 0)).collect();
        async move { Ok(addresses) }.boxed()
    });
    (lookup, asked)
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_each_time_and_dialled_as_judged() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &serde_json::json!({})));
    let port = server.address().port();
    let (lookup, asked) = flipping(&[
        &["127.0.0.1"],
        &["169.254.169.254"],
        &["127.0.0.1", "169.254.169.254"],
        &["::ffff:169.254.169.254"],
        &["127.0.0.1"],
    ]);
    let transport = Transport::looking_up(POLICY, None, lookup).unwrap();
    let request = request(&format!("http://flips.example:{port}/t"));
    let mut passed = Vec::new();
    for _ in 0..5 {
        let sent = transport.spend(&request, SPEND_TIMEOUT, Arc::new(|| true)).await;
        assert!(matches!(sent, Ok(_) | Err(TokenError::Denied(_))));
        passed.push(sent.is_ok());
    }
    assert_eq!(passed, [true, false, false, false, true]);
    assert_eq!((asked.load(Ordering::Relaxed), server.connections()), (5, 2), "one look for each");
}

#[tokio::test]
async fn a_proxy_is_dialled_wherever_it_is_and_judges_names_itself() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let proxy = ScriptedServer::start().await;
    proxy.always(Answer::json(200, &serde_json::json!({})));
    let (lookup, _) = flipping(&[&["127.0.0.1"], &["127.0.0.1"], &["127.0.0.1"], &["127.0.0.1"]]);
    let url = format!("http://user:pass@proxy.example:{}", proxy.address().port());
    let policy = AddressPolicy { allow_loopback: false, ..POLICY };
    let url: ProxyUrl = url.parse().unwrap();
    let transport = Transport::looking_up(policy, Some(&url), lookup).unwrap();
    transport.send(&request("http://as.example/t")).await.unwrap();
    let sent = proxy.requests().remove(0);
    assert_eq!(sent.target, "http://as.example/t");
    let head = String::from_utf8(sent.head_bytes).unwrap().to_lowercase();
    assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnz"), "{head}");
    let denied = transport.send(&request("http://127.0.0.1/t")).await;
    assert!(matches!(denied, Err(TokenError::Denied(_))), "what stands in the URL is judged");
    // The tunnel is refused, so that nothing goes out.
    proxy.always(Answer::status(403));
    let tunnelled = transport.send(&request("https://as.example/t")).await;
    assert!(matches!(tunnelled, Err(TokenError::Unreachable(why, _)) if !why.contains("pass")));
    assert!(proxy.requests()[1].head_bytes.starts_with(b"CONNECT as.example:443 "));
}

#[test]
fn a_proxy_that_can_not_be_used_is_told_of_without_repeating_it() {
    let url: ProxyUrl = "socks5://user:canary@proxy".parse().unwrap();
    let Err(error) = Transport::through(POLICY, Some(&url)) else { panic!("it can't be used") };
    assert!(
        error.to_string().starts_with("--proxy must be") && !error.to_string().contains("canary")
    );
}
