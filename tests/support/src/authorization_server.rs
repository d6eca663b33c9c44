//! A small, quick authorization server that rotates strictly, for the demo, the benchmark and tests
//! that need many requests rather than a particular vendor.
//!
//! `refresh_token`: every token works once, and presenting a used one ends its lineage (RFC 9700
//! §4.14.2). `client_credentials`: needs the client's secret. Bodies are forms or JSON, clients
//! authenticate by Basic, in the body, or not at all if their lineage was seeded so.

mod ledger;
mod request;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::ledger::{Counts, Issue};
use self::ledger::{Grant, Ledger, TokenSet};
use self::request::{Client, TokenRequest};

/// What every refresh token of this server begins with.
pub const REFRESH_TOKEN_PREFIX: &str = "demo-refresh-token-";
/// What every access token of this server begins with.
pub const ACCESS_TOKEN_PREFIX: &str = "demo-access-token-";
/// What every client secret of this server begins with.
pub const CLIENT_SECRET_PREFIX: &str = "demo-secret-of-";

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// How long access tokens live (whole seconds).
    pub access_token_lifetime: Duration,
    /// How long it thinks before each answer.
    pub delay: Duration,
}

impl Default for ServerOptions {
    /// An hour, and no delay.
    fn default() -> Self {
        Self { access_token_lifetime: Duration::from_secs(3600), delay: Duration::ZERO }
    }
}

/// The server. Dropping it stops it.
#[derive(Debug)]
pub struct AuthorizationServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    options: Mutex<ServerOptions>,
    ledger: Mutex<Ledger>,
}

impl AuthorizationServer {
    /// Starts it on a free loopback port.
    pub async fn start(options: ServerOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            options: Mutex::new(options),
            ledger: Mutex::new(Ledger::default()),
        });
        let router = Router::new()
            .route("/token", post(token))
            .route("/resource", get(resource))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves until it is dropped");
        });
        Self { address, shared, serving }
    }

    /// Its token endpoint.
    pub fn token_endpoint(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// A protected resource: answers 200 to a living access token, else 401.
    pub fn resource_url(&self) -> String {
        format!("http://{}/resource", self.address)
    }

    /// The secret of the client of this id. It knows every id, so that each credential of a
    /// benchmark can have one of its own.
    pub fn client_secret(&self, client_id: &str) -> String {
        request::secret_of(client_id)
    }

    /// A new lineage for a client with a secret: its first refresh token.
    pub fn seed(&self) -> String {
        self.shared.ledger().seed(Grant::Confidential)
    }

    /// A new lineage for a client without a secret: its first refresh token.
    pub fn seed_public(&self) -> String {
        self.shared.ledger().seed(Grant::Public)
    }

    /// Whether this access token was issued here and has not expired.
    pub fn accepts(&self, access_token: &str) -> bool {
        self.shared.ledger().accepts(access_token)
    }

    /// Whether this refresh token would be accepted now.
    pub fn is_live(&self, refresh_token: &str) -> bool {
        self.shared.ledger().is_live(refresh_token)
    }

    /// How long access tokens live from now on (whole seconds).
    pub fn set_access_token_lifetime(&self, lifetime: Duration) {
        self.shared.options().access_token_lifetime = lifetime;
    }

    /// How long it thinks before each answer from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.options().delay = delay;
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        self.shared.ledger().counts()
    }

    /// Every token set issued since the last call: to whom and when.
    pub fn take_issues(&self) -> Vec<Issue> {
        self.shared.ledger().take_issues()
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn options(&self) -> MutexGuard<'_, ServerOptions> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a token request is refused: status and code of RFC 6749 §5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Request,
    Client,
    Grant,
    GrantType,
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let ServerOptions { access_token_lifetime, delay } = shared.options().clone();
    shared.ledger().count_request();
    tokio::time::sleep(delay).await;
    let answer = TokenRequest::parse(&headers, &body)
        .and_then(|request| redeem(&mut shared.ledger(), &request, access_token_lifetime));
    match answer {
        Ok(token_set) => token_response(&token_set, access_token_lifetime),
        Err(refusal) => {
            shared.ledger().count_refusal();
            error_response(refusal)
        }
    }
}

fn redeem(
    ledger: &mut Ledger,
    request: &TokenRequest,
    lifetime: Duration,
) -> Result<TokenSet, Refusal> {
    match (request.grant_type.as_str(), &request.client) {
        ("client_credentials", Client::Confidential(id)) => Ok(ledger.issue(id, lifetime)),
        ("client_credentials", Client::Public) => Err(Refusal::Client),
        ("refresh_token", client) => {
            let token = request.refresh_token.as_deref().ok_or(Refusal::Request)?;
            ledger.rotate(token, client, lifetime)
        }
        _ => Err(Refusal::GrantType),
    }
}

fn token_response(token_set: &TokenSet, lifetime: Duration) -> Response {
    let mut body = json!({
        "access_token": token_set.access_token,
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
    });
    if let Some(refresh_token) = &token_set.refresh_token {
        body["refresh_token"] = refresh_token.as_str().into();
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body.to_string()).into_response()
}

fn error_response(refusal: Refusal) -> Response {
    let (status, code) = match refusal {
        Refusal::Request => (StatusCode::BAD_REQUEST, "invalid_request"),
        Refusal::Client => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Refusal::Grant => (StatusCode::BAD_REQUEST, "invalid_grant"),
        Refusal::GrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::WWW_AUTHENTICATE, "Basic")];
    (status, headers, json!({ "error": code }).to_string()).into_response()
}

async fn resource(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> StatusCode {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
    if token.is_some_and(|token| shared.ledger().accepts(token)) {
        StatusCode::OK
    } else {
        StatusCode::UNAUTHORIZED
    }
}

#[cfg(test)]
mod tests;
