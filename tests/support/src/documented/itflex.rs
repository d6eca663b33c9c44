//! iTFLEX as documented: `POST /api/v1/oauth2/token` takes JSON of exactly `grant_type` and
//! `refresh_token`, with no client id or secret, and answers with a token set and two cookies. API
//! calls carry a bearer token or the cookie `access-token`; one that carries only the cookie
//! `refresh-token` is answered with a fresh `access-token` cookie, and nothing replaces the refresh
//! token then. Errors have no OAuth code.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::tokens::Tokens;
use crate::http_server::{Answer, RecordedRequest, ScriptedServer};

const TOKEN_PATH: &str = "/api/v1/oauth2/token";
/// Which routes there are is of no matter here; this stands for any.
const PROTECTED_PATH: &str = "/api/v1/devices";
const LIFETIME: Duration = Duration::from_secs(900);
const COOKIE_LIFETIME: Duration = Duration::from_secs(15);

/// The server. Dropping it closes it.
#[derive(Debug)]
pub struct Itflex {
    server: ScriptedServer,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    tokens: Tokens,
    lifetime: Duration,
}

impl Itflex {
    /// Starts it; it replaces refresh tokens, and access tokens live 15 minutes.
    pub async fn start() -> Self {
        let state =
            Arc::new(Mutex::new(State { tokens: Tokens::new("itflex"), lifetime: LIFETIME }));
        let server = ScriptedServer::start().await;
        let answering = Arc::clone(&state);
        server.answer_with(move |request| lock(&answering).answer(request));
        Self { server, state }
    }

    /// Its token endpoint.
    pub fn token_endpoint(&self) -> String {
        self.server.url(TOKEN_PATH)
    }

    /// A protected route of its API.
    pub fn protected_url(&self) -> String {
        self.server.url(PROTECTED_PATH)
    }

    /// The refresh token that works now; the seed, as long as nothing was redeemed.
    pub fn refresh_token(&self) -> String {
        lock(&self.state).tokens.refresh_token().to_owned()
    }

    /// The newest access token.
    pub fn access_token(&self) -> Option<String> {
        lock(&self.state).tokens.newest_access_token().map(str::to_owned)
    }

    /// How long access tokens live from now on (whole seconds).
    pub fn set_lifetime(&self, lifetime: Duration) {
        lock(&self.state).lifetime = lifetime;
    }

    /// Ends the life of all access tokens at once.
    pub fn revoke_access_tokens(&self) {
        lock(&self.state).tokens.revoke_access_tokens();
    }

    /// How many refresh tokens it has replaced.
    pub fn rotations(&self) -> usize {
        lock(&self.state).tokens.rotations()
    }

    /// How many requests came with a refresh token that had been replaced.
    pub fn reuses(&self) -> usize {
        lock(&self.state).tokens.reuses()
    }

    /// Every secret it knows: what no log and no status may hold.
    pub fn secrets(&self) -> Vec<String> {
        lock(&self.state).tokens.issued().to_vec()
    }

    /// The requests to the token endpoint.
    pub fn token_requests(&self) -> Vec<RecordedRequest> {
        let mut requests = self.server.requests();
        requests.retain(|request| request.path() == TOKEN_PATH);
        requests
    }

    /// The API calls that carried only the refresh token, as a cookie.
    pub fn session_requests(&self) -> Vec<RecordedRequest> {
        let mut requests = self.server.requests();
        requests.retain(|request| request.path() == PROTECTED_PATH && is_session(request));
        requests
    }

    /// The server beneath, to queue faulty answers.
    pub fn server(&self) -> &ScriptedServer {
        &self.server
    }
}

impl State {
    fn answer(&mut self, request: &RecordedRequest) -> Answer {
        match (request.method.as_str(), request.path()) {
            ("POST", TOKEN_PATH) => self.token_response(request),
            (_, PROTECTED_PATH) => self.protected(request),
            _ => Answer::status(404),
        }
    }

    fn token_response(&mut self, request: &RecordedRequest) -> Answer {
        let presented = presented_refresh_token(request);
        if !presented.is_some_and(|token| self.tokens.redeems(&token)) {
            return unauthorized();
        }
        let refresh_token = self.tokens.rotate();
        let access_token = self.tokens.issue_access_token(self.lifetime);
        let body = json!({
            "refresh_token": refresh_token,
            "access_token": access_token,
            "expires_in": self.lifetime.as_secs(),
        });
        Answer::json(200, &body)
            .header("Set-Cookie", &cookie("refresh-token", &refresh_token, 2_592_000))
            .header("Set-Cookie", &access_cookie(&access_token))
    }

    fn protected(&mut self, request: &RecordedRequest) -> Answer {
        let bearer =
            request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let access_token = bearer.or_else(|| sent_cookie(request, "access-token"));
        let content = Answer::json(200, &json!([]));
        if access_token.is_some_and(|token| self.tokens.accepts(token)) {
            return content;
        }
        if sent_cookie(request, "refresh-token").is_some_and(|token| self.tokens.redeems(token)) {
            let token = self.tokens.issue_access_token(COOKIE_LIFETIME);
            return content.header("Set-Cookie", &access_cookie(&token));
        }
        unauthorized()
    }
}

/// The refresh token, if the request is exactly what is documented.
fn presented_refresh_token(request: &RecordedRequest) -> Option<String> {
    let body = request.json();
    let members = body.as_object()?;
    let well_formed = request.header("content-type") == Some("application/json")
        && members.len() == 2
        && members.get("grant_type") == Some(&Value::from("refresh_token"));
    let token = members.get("refresh_token")?.as_str()?;
    well_formed.then(|| token.to_owned())
}

/// Whether all that it says of who calls is the refresh token.
fn is_session(request: &RecordedRequest) -> bool {
    let cookie = request.header("cookie").unwrap_or_default();
    cookie.starts_with("refresh-token=")
        && !cookie.contains(';')
        && request.header("authorization").is_none()
}

fn sent_cookie<'a>(request: &'a RecordedRequest, name: &str) -> Option<&'a str> {
    let cookies = request.header("cookie")?.split("; ");
    let mut pairs = cookies.filter_map(|cookie| cookie.split_once('='));
    pairs.find(|(cookie, _)| *cookie == name).map(|(_, value)| value)
}

fn access_cookie(token: &str) -> String {
    cookie("access-token", token, COOKIE_LIFETIME.as_secs())
}

fn cookie(name: &str, value: &str, seconds: u64) -> String {
    format!("{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; Secure")
}

fn unauthorized() -> Answer {
    Answer::json(401, &json!({"msg": "Valid authentication token required"}))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
