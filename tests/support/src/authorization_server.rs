//! A small, quick authorization server that rotates strictly, for the demo, the benchmark and tests
//! that need many requests rather than a particular vendor.
//!
//! `refresh_token`: every token works once, and presenting a used one ends its lineage (RFC 9700
//! §4.14.2) with its access tokens, unless a reuse window is set. `client_credentials`: needs the client's secret. `jwt-bearer`: takes whatever looks signed. Bodies are forms or JSON, clients
//! authenticate by Basic, in the body, or not at all if their lineage was seeded so.

mod fault;
mod ledger;
mod lineage;
mod request;
mod usage;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::fault::Fault;
pub use self::ledger::{Counts, Issue};
use self::ledger::{Ledger, TokenSet};
use self::lineage::Grant;
pub use self::lineage::{Ending, LineageState};
use self::request::{Client, RevocationRequest, TokenRequest};
use self::usage::Usage;
pub use self::usage::Use;

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
    /// How long the refresh token that was spent last may be presented again, from its first use on.
    /// Each time it gets one more successor; all of them work until one is spent. None: not at all.
    pub reuse_window: Option<Duration>,
    /// How long before the expiry of the access token a refresh token is taken, at the earliest. None: at any time.
    pub earliest_renewal: Option<Duration>,
}

impl Default for ServerOptions {
    /// An hour, no delay, and no window.
    fn default() -> Self {
        Self {
            access_token_lifetime: Duration::from_secs(3600),
            delay: Duration::ZERO,
            reuse_window: None,
            earliest_renewal: None,
        }
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
    /// What to do wrong, request by request.
    faults: Mutex<VecDeque<Fault>>,
    usage: Mutex<Usage>,
}

impl AuthorizationServer {
    /// Starts it on a free loopback port.
    pub async fn start(options: ServerOptions) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), options).await
    }

    /// Starts it on a free port of this address.
    pub async fn start_at(address: IpAddr, options: ServerOptions) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            options: Mutex::new(options),
            ledger: Mutex::new(Ledger::new(address.port())),
            faults: Mutex::default(),
            usage: Mutex::default(),
        });
        let router = Router::new()
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/resource", get(resource))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves until it is dropped");
        });
        Self { address, shared, serving }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its token endpoint.
    pub fn token_endpoint(&self) -> String {
        format!("http://{}/token", self.address)
    }

    /// Its revocation endpoint (RFC 7009): a refresh token ends with its lineage.
    pub fn revocation_endpoint(&self) -> String {
        format!("http://{}/revoke", self.address)
    }

    /// A protected resource: answers 200 to a living access token, else 401. Who adds `?file=NAME` is
    /// told apart in [`uses`](Self::uses).
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

    /// Whether this access token was issued here, has not expired, and its lineage lives.
    pub fn accepts(&self, access_token: &str) -> bool {
        self.shared.ledger().accepts(access_token)
    }

    /// Whether this refresh token is one to go on with: not spent, and its lineage not ended.
    pub fn is_live(&self, refresh_token: &str) -> bool {
        self.shared.ledger().is_live(refresh_token)
    }

    /// The lineage this refresh token belongs to, whether the token works or not.
    pub fn lineage_of(&self, refresh_token: &str) -> Option<usize> {
        self.shared.ledger().lineage_of(refresh_token)
    }

    /// What it knows of a lineage.
    pub fn lineage(&self, lineage: usize) -> LineageState {
        self.shared.ledger().lineage(lineage).clone()
    }

    /// The next so many requests to the token endpoint get this, after any faults asked for before.
    pub fn fail_next(&self, requests: usize, fault: Fault) {
        self.shared.faults().extend(std::iter::repeat_n(fault, requests));
    }

    /// Does nothing wrong from now on, whatever was asked for before.
    pub fn fail_no_more(&self) {
        self.shared.faults().clear();
    }

    /// How long access tokens live from now on (whole seconds).
    pub fn set_access_token_lifetime(&self, lifetime: Duration) {
        self.shared.options().access_token_lifetime = lifetime;
    }

    /// How long it thinks before each answer from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.options().delay = delay;
    }

    /// How long a spent refresh token may be presented again from now on.
    pub fn set_reuse_window(&self, window: Option<Duration>) {
        self.shared.options().reuse_window = window;
    }

    /// How the protected resource was used, by the name of the token's file.
    pub fn uses(&self) -> BTreeMap<String, Use> {
        self.shared.usage().by_file().clone()
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

    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a token request is refused: status and code of RFC 6749 §5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Request,
    Client,
    Grant,
    GrantType,
    Early,
}

/// Carried out to the end although the client may go: what it began is not undone by that.
async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let answering = tokio::spawn(answer(shared, headers, body));
    answering.await.expect("a request is answered")
}

async fn answer(shared: Arc<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let options = shared.options().clone();
    let fault = shared.faults().pop_front();
    shared.ledger().count_request();
    tokio::time::sleep(options.delay).await;
    let request = TokenRequest::parse(&headers, &body);
    let mut ledger = shared.ledger();
    let Some(fault) = fault else {
        return match request.and_then(|request| redeem(&mut ledger, &request, &options)) {
            Ok(token_set) => token_response(&token_set, options.access_token_lifetime),
            Err(refusal) => {
                ledger.count_refusal();
                error_response(refusal)
            }
        };
    };
    ledger.count_fault();
    if fault.spends()
        && let Ok(token_set) = request.and_then(|request| redeem(&mut ledger, &request, &options))
    {
        ledger.withhold(&token_set);
    }
    fault.response()
}

fn redeem(
    ledger: &mut Ledger,
    request: &TokenRequest,
    options: &ServerOptions,
) -> Result<TokenSet, Refusal> {
    let lifetime = options.access_token_lifetime;
    match (request.grant_type.as_str(), &request.client) {
        ("client_credentials", Client::Confidential(id)) => Ok(ledger.issue(id, lifetime)),
        ("client_credentials", Client::Public) => Err(Refusal::Client),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", _) => {
            let assertion = request.assertion.as_deref().ok_or(Refusal::Request)?;
            let signed = assertion.split('.').filter(|part| !part.is_empty()).count() == 3;
            if signed { Ok(ledger.issue("jwt-bearer", lifetime)) } else { Err(Refusal::Grant) }
        }
        ("refresh_token", client) => {
            let token = request.refresh_token.as_deref().ok_or(Refusal::Request)?;
            let rests = options.earliest_renewal.map(|ahead| lifetime.saturating_sub(ahead));
            if rests.is_some_and(|rests| ledger.was_rotated_within(token, rests)) {
                return Err(Refusal::Early);
            }
            ledger.rotate(token, client, lifetime, options.reuse_window)
        }
        _ => Err(Refusal::GrantType),
    }
}

async fn revoke(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let delay = shared.options().delay;
    tokio::time::sleep(delay).await;
    let revoked = RevocationRequest::parse(&headers, &body)
        .and_then(|request| shared.ledger().revoke(&request.token, &request.client));
    revoked.map_or_else(error_response, |()| StatusCode::OK.into_response())
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
        // As Exact Online answers.
        Refusal::Early => (StatusCode::UNAUTHORIZED, "unauthorized_client"),
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::WWW_AUTHENTICATE, "Basic")];
    (status, headers, json!({ "error": code }).to_string()).into_response()
}

async fn resource(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> StatusCode {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let accepted = shared.ledger().accepts(token);
    if let Some(file) = uri.query().and_then(|query| query.strip_prefix("file=")) {
        let age = shared.ledger().age_of(token);
        shared.usage().note(file, token, accepted, age);
    }
    if accepted { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

#[cfg(test)]
mod tests;
