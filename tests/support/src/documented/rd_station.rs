//! RD Station as documented: `POST /auth/token` takes `grant_type=refresh_token`, `client_id`,
//! `client_secret` and `refresh_token`, as a form or as JSON; `refresh_token`, when the answer has
//! one, replaces the old one; access tokens live 24 hours.
//!
//! Errors have the shape and the names that RD Station's own client for Ruby is tested with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::tokens::Tokens;
use crate::http_server::{Answer, RecordedRequest, ScriptedServer};

const CLIENT_ID: &str = "rd-station-client-id";
const CLIENT_SECRET: &str = "rd-station-client-secret";
const TOKEN_PATH: &str = "/auth/token";
const CONTACTS_PATH: &str = "/platform/contacts";
const LIFETIME: Duration = Duration::from_secs(86_400);

/// The `refresh_token` member of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokenInAnswer {
    /// A new one; the old one stops working.
    Replaced,
    /// The one that was sent.
    Repeated,
    /// None; the one that was sent goes on working.
    Left,
}

/// The server. Dropping it closes it.
#[derive(Debug)]
pub struct RdStation {
    server: ScriptedServer,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    tokens: Tokens,
    refresh_token_in_answer: RefreshTokenInAnswer,
    lifetime: Duration,
}

impl RdStation {
    /// Starts it; it replaces refresh tokens, and access tokens live 24 hours.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            tokens: Tokens::new("rd-station"),
            refresh_token_in_answer: RefreshTokenInAnswer::Replaced,
            lifetime: LIFETIME,
        }));
        let server = ScriptedServer::start().await;
        let answering = Arc::clone(&state);
        server.answer_with(move |request| lock(&answering).answer(request));
        Self { server, state }
    }

    /// Its token endpoint.
    pub fn token_endpoint(&self) -> String {
        self.server.url(TOKEN_PATH)
    }

    /// A protected route: 401 means that the access token has expired.
    pub fn contacts_url(&self) -> String {
        self.server.url(CONTACTS_PATH)
    }

    /// The client id it knows.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// The secret of that client.
    pub fn client_secret(&self) -> &'static str {
        CLIENT_SECRET
    }

    /// The refresh token that works now; the seed, as long as nothing was redeemed.
    pub fn refresh_token(&self) -> String {
        lock(&self.state).tokens.refresh_token().to_owned()
    }

    /// The newest access token.
    pub fn access_token(&self) -> Option<String> {
        lock(&self.state).tokens.newest_access_token().map(str::to_owned)
    }

    /// What answers say of the refresh token from now on.
    pub fn set_refresh_token_in_answer(&self, choice: RefreshTokenInAnswer) {
        lock(&self.state).refresh_token_in_answer = choice;
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
        let issued = lock(&self.state).tokens.issued().to_vec();
        [issued, vec![CLIENT_SECRET.to_owned()]].concat()
    }

    /// The requests to the token endpoint.
    pub fn token_requests(&self) -> Vec<RecordedRequest> {
        let mut requests = self.server.requests();
        requests.retain(|request| request.path() == TOKEN_PATH);
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
            ("GET", CONTACTS_PATH) => self.contacts(request),
            _ => Answer::status(404),
        }
    }

    fn token_response(&mut self, request: &RecordedRequest) -> Answer {
        let fields = fields(request);
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        if field("grant_type") != "refresh_token" {
            return refusal("INVALID_GRANT_TYPE", "grant_type is not refresh_token.");
        }
        if (field("client_id"), field("client_secret")) != (CLIENT_ID, CLIENT_SECRET) {
            return refusal("ACCESS_DENIED", "Wrong credentials provided.");
        }
        if !self.tokens.redeems(field("refresh_token")) {
            let message = "The provided refresh token is invalid or was revoked.";
            return refusal("INVALID_REFRESH_TOKEN", message);
        }
        let access_token = self.tokens.issue_access_token(self.lifetime);
        let mut body = json!({
            "access_token": access_token,
            "expires_in": self.lifetime.as_secs(),
        });
        match self.refresh_token_in_answer {
            RefreshTokenInAnswer::Replaced => body["refresh_token"] = self.tokens.rotate().into(),
            RefreshTokenInAnswer::Repeated => {
                body["refresh_token"] = self.tokens.refresh_token().into();
            }
            RefreshTokenInAnswer::Left => {}
        }
        Answer::json(200, &body)
    }

    fn contacts(&self, request: &RecordedRequest) -> Answer {
        let authorization = request.header("authorization").unwrap_or_default();
        let token = authorization.strip_prefix("Bearer ");
        if token.is_some_and(|token| self.tokens.accepts(token)) {
            Answer::json(200, &json!({"contacts": []}))
        } else {
            refusal("UNAUTHORIZED", "Invalid token.")
        }
    }
}

/// The fields of a form or of a JSON object; none for any other body.
fn fields(request: &RecordedRequest) -> BTreeMap<String, String> {
    match request.header("content-type") {
        Some("application/x-www-form-urlencoded") => request.form().into_iter().collect(),
        Some("application/json") => serde_json::from_slice(&request.body).unwrap_or_default(),
        _ => BTreeMap::new(),
    }
}

fn refusal(error_type: &str, message: &str) -> Answer {
    let body = json!({"errors": {"error_type": error_type, "error_message": message}});
    Answer::json(401, &body)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
