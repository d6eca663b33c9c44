//! What the transport does to servers that are not who they say, and to answers that are too much: over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use oauth_keeper::oauth::address::AddressPolicy;
use oauth_keeper::oauth::client_auth::ClientAuth;
use oauth_keeper::oauth::error::{Side, TokenError};
use oauth_keeper::oauth::request::{
    GrantInput, RequestStyle, TokenCall, TokenRequest, Wanted, build,
};
use oauth_keeper::oauth::response::{
    Ending, RawResponse, ResponseStyle, parse, salvage_refresh_token,
};
use oauth_keeper::oauth::secret::RefreshToken;
use oauth_keeper::oauth::sent::Sent;
use oauth_keeper::oauth::tls::{Identity, Roots};
use oauth_keeper::oauth::transport::{SPEND_TIMEOUT, Transport};
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::tls_front::TlsFront;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const FOR_TESTS: AddressPolicy =
    AddressPolicy { allow_http: true, allow_loopback: true, deny_private: false, api_server: &[] };

fn transport() -> Transport {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Transport::new(FOR_TESTS).unwrap()
}

/// An authority and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        Self::named("an authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> Roots {
        Roots::parse(&self.0.pem()).unwrap()
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose, until: i32) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    fn server(&self, name: &str) -> Pair {
        self.sign(name, ExtendedKeyUsagePurpose::ServerAuth, 2200)
    }
}

impl Pair {
    fn config(&self, clients: Option<&Authority>) -> ServerConfig {
        self.config_of(rustls::ALL_VERSIONS, clients)
    }

    fn config_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> ServerConfig {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_protocol_versions(versions);
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        builder.with_single_cert(chain, key).unwrap()
    }
}

fn request(url: &str, client: &ClientAuth, roots: Option<Roots>) -> TokenRequest {
    let mut request = build(&TokenCall {
        endpoint: &url.parse().unwrap(),
        client,
        grant: &GrantInput::RefreshToken(RefreshToken::new("canary")),
        wanted: Wanted::default(),
        style: &RequestStyle::default(),
    });
    request.tls.roots = roots;
    request
}

fn public() -> ClientAuth {
    ClientAuth::None { client_id: None }
}

async fn spend(transport: &Transport, request: &TokenRequest) -> Result<RawResponse, TokenError> {
    transport.spend(request, SPEND_TIMEOUT, Arc::new(|| true)).await
}

async fn backend() -> ScriptedServer {
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &serde_json::json!({"access_token": "a"})));
    server
}

const NOT_TRUSTED: &str = "is of an authority that is not trusted";

#[tokio::test]
async fn servers_that_are_not_who_they_say_get_nothing() {
    let (authority, other, server) = (Authority::new(), Authority::new(), backend().await);
    let expired = authority.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth, 2001);
    let of_a_client = authority.sign("localhost", ExtendedKeyUsagePurpose::ClientAuth, 2200);
    let self_signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let self_signed =
        Pair { certificate: self_signed.cert.pem(), key: self_signed.signing_key.serialize_pem() };
    let transport = transport();
    for (what, pair, roots) in [
        ("is for another name", authority.server("as.example"), Some(authority.roots())),
        ("has expired", expired, Some(authority.roots())),
        ("is not one of a server", of_a_client, Some(authority.roots())),
        (NOT_TRUSTED, self_signed, Some(authority.roots())),
        (NOT_TRUSTED, other.server("localhost"), Some(authority.roots())),
        // The platform does not know it.
        (NOT_TRUSTED, authority.server("localhost"), None),
    ] {
        let front = TlsFront::start(server.address(), pair.config(None)).await;
        let url = format!("https://localhost:{}/t", front.port());
        let request = request(&url, &public(), roots);
        for sent in [spend(&transport, &request).await, transport.send(&request).await] {
            let Err(TokenError::Unreachable(why, _)) = sent else { panic!("{what}: it was sent") };
            // Not the certificate's own words: a server may put there what it was sent before.
            let expected = format!("no connection to the token endpoint: its certificate {what}");
            assert_eq!(why, expected);
        }
        assert!(front.shown().is_empty());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_authority_given_for_a_provider_is_trusted_there_and_nowhere_else() {
    let (authority, server) = (Authority::new(), backend().await);
    let front = TlsFront::start(server.address(), authority.server("localhost").config(None)).await;
    let url = format!("https://localhost:{}/t", front.port());
    let transport = transport();
    for _ in 0..2 {
        spend(&transport, &request(&url, &public(), Some(authority.roots()))).await.unwrap();
        transport.send(&request(&url, &public(), Some(authority.roots()))).await.unwrap();
        assert!(spend(&transport, &request(&url, &public(), None)).await.is_err());
    }
    assert_eq!(front.shown().len(), 3, "a spent token has a connection of its own; others share");
}

#[tokio::test]
async fn a_certificate_of_the_client_is_shown_and_another_one_makes_another_connection() {
    let (authority, server) = (Authority::new(), backend().await);
    let pair = authority.server("localhost");
    let front = TlsFront::start(server.address(), pair.config(Some(&authority))).await;
    let url = format!("https://localhost:{}/t", front.port());
    let transport = transport();
    let sign = || authority.sign("client", ExtendedKeyUsagePurpose::ClientAuth, 2200);
    for Pair { certificate, key } in [sign(), sign()] {
        let identity = Identity::parse(&certificate, &key).unwrap();
        let client = ClientAuth::Tls { client_id: "i d".into(), identity };
        transport.send(&request(&url, &client, Some(authority.roots()))).await.unwrap();
        let body = server.requests().pop().unwrap().body;
        let expected = "grant_type=refresh_token&client_id=i+d&refresh_token=canary";
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        assert_eq!(front.shown().pop().unwrap(), [der.to_vec()]);
    }
    assert_eq!(front.shown().len(), 2);
    let without = spend(&transport, &request(&url, &public(), Some(authority.roots()))).await;
    assert!(without.is_err(), "{:?}", without.map(|raw| raw.status));
}

/// The same by both ways: with a connection of its own, and with one that others share.
async fn both(request: &TokenRequest) -> [Result<RawResponse, TokenError>; 2] {
    let transport = transport();
    [spend(&transport, request).await, transport.send(request).await]
}

#[tokio::test]
async fn roots_that_do_not_vouch_for_the_server_are_the_callers_doing() {
    let (authority, server) = (Authority::new(), backend().await);
    let expired = authority.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth, 2001);
    let (good, elsewhere) = (authority.server("localhost"), authority.server("as.example"));
    // With other roots, with the right ones, and with those of the platform.
    for (what, pair, roots, side) in [
        ("made anew", &good, Some(Authority::new().roots()), Side::Caller),
        ("of another name", &good, Some(Authority::named("another").roots()), Side::Caller),
        ("the platform's", &good, None, Side::Server),
        ("expired", &expired, Some(authority.roots()), Side::Server),
        ("expired, other roots", &expired, Some(Authority::named("b").roots()), Side::Server),
        ("of another host", &elsewhere, Some(authority.roots()), Side::Server),
    ] {
        let front = TlsFront::start(server.address(), pair.config(None)).await;
        let url = format!("https://localhost:{}/t", front.port());
        for sent in both(&request(&url, &public(), roots)).await {
            let Err(TokenError::Unreachable(why, of)) = sent else { panic!("{what}: it was sent") };
            assert_eq!(of, side, "{what}: {why}");
        }
    }
}

/// By TLS 1.2, and by 1.3, which lets the request go out before the server has looked at the certificate.
#[tokio::test]
async fn a_certificate_that_the_server_refuses_is_the_callers_doing() {
    let (authority, server) = (Authority::new(), backend().await);
    let Pair { certificate, key } =
        Authority::named("another").sign("client", ExtendedKeyUsagePurpose::ClientAuth, 2200);
    let identity = Identity::parse(&certificate, &key).unwrap();
    let refused = ClientAuth::Tls { client_id: "c".into(), identity };
    let pair = authority.server("localhost");
    for (version, protocol) in [
        (&rustls::version::TLS12, "http/1.1"),
        (&rustls::version::TLS13, "http/1.1"),
        (&rustls::version::TLS13, "h2"),
    ] {
        let mut config = pair.config_of(&[version], Some(&authority));
        config.alpn_protocols = vec![protocol.into()];
        let front = TlsFront::start(server.address(), config).await;
        let url = format!("https://localhost:{}/t", front.port());
        let what = format!("{:?}, {protocol}", version.version);
        for sent in both(&request(&url, &refused, Some(authority.roots()))).await {
            let side = side(&sent);
            assert_eq!(side, Some(Side::Caller), "{what}: {:?}", sent.err());
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_listen_or_answer_is_its_own_doing_unless_a_certificate_was_shown() {
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let (authority, server) = (Authority::new(), backend().await);
    let pair = authority.sign("client", ExtendedKeyUsagePurpose::ClientAuth, 2200);
    let identity = Identity::parse(&pair.certificate, &pair.key).unwrap();
    let shows = ClientAuth::Tls { client_id: "c".into(), identity };
    for client in [public(), shows.clone()] {
        let url = format!("https://localhost:{port}/t");
        for sent in both(&request(&url, &client, Some(authority.roots()))).await {
            assert_eq!(side(&sent), Some(Side::Server));
        }
    }
    // Who shows no certificate has none that may be refused; of one that was shown nobody knows.
    server.always(Answer::close());
    for (client, clients, expected) in
        [(public(), None, Side::Server), (shows, Some(&authority), Side::Caller)]
    {
        let config = authority.server("localhost").config(clients);
        let front = TlsFront::start(server.address(), config).await;
        let url = format!("https://localhost:{}/t", front.port());
        for sent in both(&request(&url, &client, Some(authority.roots()))).await {
            assert_eq!(side(&sent), Some(expected), "{:?}", sent.err());
        }
    }
    assert!(server.connections() > 0);
}

fn side(sent: &Result<RawResponse, TokenError>) -> Option<Side> {
    match sent {
        Err(TokenError::Unreachable(_, side) | TokenError::OutcomeUnknown(_, side)) => Some(*side),
        _ => None,
    }
}

/// A TCP server that writes these bytes to whoever says something, some at a time.
async fn raw(
    parts: Vec<Vec<u8>>,
    pause: Duration,
) -> (SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 8192];
        let length = stream.read(&mut heard).await.unwrap();
        heard.truncate(length);
        for part in parts {
            if stream.write_all(&part).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        heard
    });
    (address, serving)
}

#[tokio::test]
async fn a_server_of_tls_1_1_is_refused() {
    // A ServerHello of TLS 1.1, as one answers that knows nothing newer.
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x14, 0]);
    let (address, serving) = raw(vec![hello], Duration::ZERO).await;
    let url = format!("https://localhost:{}/t", address.port());
    let sent = spend(&transport(), &request(&url, &public(), Some(Authority::new().roots()))).await;
    assert!(matches!(sent, Err(TokenError::Unreachable(..))), "{:?}", sent.err());
    let heard = serving.await.unwrap();
    assert_eq!(&heard[..2], [22, 3], "a ClientHello");
    assert!(!heard.windows(6).any(|window| window == b"canary"));
}

#[tokio::test]
async fn what_dribbles_is_given_up_in_time() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec();
    let slow_head = head.chunks(1).map(<[u8]>::to_vec).collect();
    let slow_body = [vec![head.clone()], vec![b" ".to_vec(); 1000]].concat();
    let limit = Duration::from_secs(1);
    for (parts, answered) in [(slow_head, false), (slow_body, true)] {
        let (address, serving) = raw(parts, Duration::from_millis(200)).await;
        let request = request(&format!("http://{address}/t"), &public(), None);
        let begun = std::time::Instant::now();
        let sent = transport().spend(&request, limit, Arc::new(|| true)).await;
        assert!(begun.elapsed() >= limit);
        match sent {
            Ok(raw) => assert!(answered && raw.ending == Ending::BrokenOff),
            Err(error) => assert!(!answered && matches!(error, TokenError::OutcomeUnknown(..))),
        }
        serving.abort();
    }
}

#[tokio::test]
async fn answers_that_are_too_much_are_bounded() {
    let server = ScriptedServer::start().await;
    let transport = transport();
    let request = request(&server.url("/t"), &public(), None);
    let fine = serde_json::json!({"access_token": "a", "refresh_token": "r"});
    let read = |raw: &RawResponse| parse(raw, &ResponseStyle::default(), true);

    server.queue(Answer::json(200, &fine).header("x", &"x".repeat(15_000)));
    assert!(read(&spend(&transport, &request).await.unwrap()).is_ok());
    server.queue(Answer::json(200, &fine).header("x", &"x".repeat(20_000)));
    let large = spend(&transport, &request).await.unwrap();
    assert_eq!(large.ending, Ending::TooLarge);
    assert!(!large.body.is_empty(), "a new refresh token in it is not lost");
    server.queue(Answer::json(200, &fine).header("x", &"x".repeat(10_000_000)));
    assert!(matches!(spend(&transport, &request).await, Err(TokenError::OutcomeUnknown(..))));

    for (depth, good) in [(15, true), (17, false), (100_000, false)] {
        let body =
            format!(r#"{{"access_token":"a","x":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        server.queue(Answer::body(200, "application/json", body));
        let set = read(&spend(&transport, &request).await.unwrap());
        assert_eq!(set.is_ok(), good, "{depth}");
    }
    for (length, good) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let body = serde_json::json!({"access_token": "a".repeat(length)});
        server.queue(Answer::json(200, &body));
        assert_eq!(read(&spend(&transport, &request).await.unwrap()).is_ok(), good, "{length}");
    }
}

/// A server of HTTP/2 whose answers have a header that long.
async fn http2(header: usize) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                let head = http::Response::builder().header("x", "x".repeat(header));
                let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
                let tokens = br#"{"access_token":"a","refresh_token":"r"}"#;
                body.send_data(tokens.as_slice().into(), true).unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn large_headers_do_not_cost_the_answer_over_http_2_either() {
    let authority = Authority::new();
    for (header, ending) in [(15_000, Ending::Whole), (20_000, Ending::TooLarge)] {
        let mut config = authority.server("localhost").config(None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let front = TlsFront::start(http2(header).await, config).await;
        let url = format!("https://localhost:{}/t", front.port());
        let request = request(&url, &public(), Some(authority.roots()));
        let raw = spend(&transport(), &request).await.unwrap();
        assert_eq!(raw.ending, ending);
        let token = salvage_refresh_token(&raw, &ResponseStyle::default(), &Sent::default());
        assert_eq!(token.unwrap().expose(), "r");
    }
}
