//! A real Keycloak: `client_credentials` as ThingPark speaks it, and refresh tokens that rotate with
//! a window.
//!
//! ThingPark's path is `/users-auth/protocol/openid-connect/token`. A plain Keycloak always has
//! `/realms/NAME` before `/protocol`, and its `--http-relative-path` only adds a prefix to that, so
//! the path here is `/realms/users-auth/protocol/openid-connect/token`; all else is the same.
//!
//! The window of a realm that revokes refresh tokens and lets them be reused once is a count, not a
//! time. What Keycloak does, found by asking it (`tests/live.rs` asserts most of it):
//! - A refresh token is redeemed twice, and each answer has a new one. Of the two only the newer
//!   works on: the other is stale. That is told by whole seconds, so within one second both work.
//! - The third time it answers 400 `invalid_grant`, "Maximum allowed refresh token reuse exceeded",
//!   and a stale one 400 `invalid_grant`, "Stale token". Either ends the whole grant, the good newest
//!   token with it: from then on 400 `invalid_grant`, "Session doesn't have required client". Access
//!   tokens live on until they expire.
//! - An offline token has no end of its own: `refresh_expires_in` is 0.
//! - Introspection counts the uses of a refresh token only where `token_type_hint` says that it is one.
//! - Revoking a refresh token ends all offline grants of that person to that client, and their access
//!   tokens, wherefore every seed is of another person; later requests get 400 `invalid_grant`,
//!   "Offline user session not found". Revoking it again is 200, with `"error":"invalid_token"` in the
//!   body; so is revoking nonsense.
//! - A wrong client secret is 401 `unauthorized_client`, and spends nothing.

mod realm;
mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::realm::{
    CLIENT_ID, CLIENT_SECRET, EXCHANGE_CLIENT_ID, EXCHANGE_CLIENT_SECRET, KEY_CLIENT_ID,
    OFFLINE_CLIENT_ID, OFFLINE_CLIENT_SECRET, PASSWORD, PORTAL_CLIENT_ID, PORTAL_CLIENT_SECRET,
    REALM, SIGNING_CLIENT_ID, SIGNING_CLIENT_SECRET, TLS_CLIENT_ID,
};
use self::tls::Tls;
use crate::certificates::Identity;
use crate::process::Process;
use crate::signing_key::SigningKey;
use crate::{http_client, ports, scratch, tools, wait};

/// Half a minute on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(300);
const ADMIN: &str = "admin";
const ADMIN_PASSWORD: &str = "keycloak-admin-password";

/// The running server. Dropping it kills it.
#[derive(Debug)]
pub struct Keycloak {
    url: String,
    http: reqwest::Client,
    /// How many have been made.
    people: AtomicUsize,
    signing_key: SigningKey,
    tls: Tls,
    process: Process,
    // Last, so that it is removed when nothing writes into it.
    _folder: TempDir,
}

impl Keycloak {
    /// Starts it and creates a realm with its clients, whose access tokens live five minutes.
    pub async fn start() -> Self {
        let folder = scratch::folder("keycloak");
        let [port, tls_port] = ports::free();
        let tls = Tls::new(tls_port, folder.path());
        let mut command = command(&tools::installed("keycloak").await, port);
        command.args(tls.arguments(folder.path()));
        let process = Process::start("keycloak", &command, &folder.path().join("keycloak.log"));
        let keycloak = Self {
            url: format!("http://127.0.0.1:{port}"),
            http: http_client::new(),
            people: AtomicUsize::new(0),
            signing_key: SigningKey::generate(),
            tls,
            process,
            _folder: folder,
        };
        wait::until_ok("Keycloak serves", START_LIMIT, || keycloak.serves()).await;
        keycloak.create_realm().await;
        keycloak
    }

    /// The realm's issuer.
    pub fn issuer(&self) -> String {
        format!("{}/realms/{REALM}", self.url)
    }

    /// The realm's token endpoint.
    pub fn token_endpoint(&self) -> String {
        self.realm_url("token")
    }

    /// The realm's revocation endpoint (RFC 7009).
    pub fn revocation_endpoint(&self) -> String {
        self.realm_url("revoke")
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        let address = self.url.strip_prefix("http://").and_then(|address| address.parse().ok());
        address.expect("its URL is a loopback address")
    }

    /// The client, which may use `client_credentials`, by Basic or with its secret in the body.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// The secret of that client.
    pub fn client_secret(&self) -> &'static str {
        CLIENT_SECRET
    }

    /// The client that may use `client_credentials` with "Signed JWT", by [`signing_key`](Self::signing_key).
    pub fn key_client_id(&self) -> &'static str {
        KEY_CLIENT_ID
    }

    /// The key of that client.
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }

    /// The client that may use `client_credentials` with "Signed JWT with Client Secret".
    pub fn signing_client_id(&self) -> &'static str {
        SIGNING_CLIENT_ID
    }

    /// The secret of that client.
    pub fn signing_client_secret(&self) -> &'static str {
        SIGNING_CLIENT_SECRET
    }

    /// The client that may use `client_credentials` with "X509 Certificate", over TLS.
    pub fn tls_client_id(&self) -> &'static str {
        TLS_CLIENT_ID
    }

    /// The certificate of that client.
    pub fn tls_client(&self) -> &Identity {
        &self.tls.client
    }

    /// A certificate that Keycloak trusts, of somebody else.
    pub fn tls_stranger(&self) -> &Identity {
        &self.tls.stranger
    }

    /// The authority of its own certificate, PEM.
    pub fn authority(&self) -> &str {
        &self.tls.authority
    }

    /// The realm's token endpoint over TLS.
    pub fn tls_token_endpoint(&self) -> String {
        self.token_endpoint().replace(&self.url, &format!("https://localhost:{}", self.tls.port))
    }

    /// The client that may exchange tokens of the portal (RFC 8693).
    pub fn exchange_client_id(&self) -> &'static str {
        EXCHANGE_CLIENT_ID
    }

    /// The secret of that client.
    pub fn exchange_client_secret(&self) -> &'static str {
        EXCHANGE_CLIENT_SECRET
    }

    /// An access token of a new person who signed in at the portal; it is for the client that exchanges.
    pub async fn portal_token(&self) -> String {
        let name = self.person().await;
        let client = [("client_id", PORTAL_CLIENT_ID), ("client_secret", PORTAL_CLIENT_SECRET)];
        let answer = self.sign_in(&name, &client, "openid").await;
        answer["access_token"].as_str().expect("a token response has one").to_owned()
    }

    /// The client of the refresh tokens, which authenticates like the other.
    pub fn offline_client_id(&self) -> &'static str {
        OFFLINE_CLIENT_ID
    }

    /// The secret of that client.
    pub fn offline_client_secret(&self) -> &'static str {
        OFFLINE_CLIENT_SECRET
    }

    /// The first refresh token of a new grant for the offline client: a new person signs in, by
    /// password instead of a browser.
    pub async fn seed(&self) -> String {
        let name = self.person().await;
        let client = [("client_id", OFFLINE_CLIENT_ID), ("client_secret", OFFLINE_CLIENT_SECRET)];
        let answer = self.sign_in(&name, &client, "offline_access").await;
        answer["refresh_token"].as_str().expect("offline access brings one").to_owned()
    }

    /// The name of a new person, who may sign in by [`Keycloak::password`] at the offline client.
    pub async fn person(&self) -> String {
        let number = self.people.fetch_add(1, Ordering::Relaxed);
        let name = format!("person-{number}");
        let url = format!("{}/admin/realms/{REALM}/users", self.url);
        let request =
            self.http.post(url).bearer_auth(self.admin_token().await).json(&realm::person(&name));
        expect(StatusCode::CREATED, request).await;
        name
    }

    /// The password of every person.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Whether Keycloak would accept this refresh token now, be it for the second time.
    pub async fn is_live(&self, refresh_token: &str) -> bool {
        let token = [("token", refresh_token), ("token_type_hint", "refresh_token")];
        let request = self.introspection(OFFLINE_CLIENT_ID, OFFLINE_CLIENT_SECRET, &token);
        let answer = request.send().await.expect("Keycloak answers");
        let status = answer.status();
        let text = answer.text().await.expect("Keycloak answers in full");
        match status {
            StatusCode::OK => parse(&text)["active"] == true,
            // What it says of a token whose grant has ended.
            StatusCode::BAD_REQUEST if text.contains("Failed to introspect token") => false,
            _ => panic!("Keycloak, introspection: {status} {text}"),
        }
    }

    /// How long the realm's access tokens live from now on (whole seconds).
    pub async fn set_access_token_lifetime(&self, lifetime: Duration) {
        let change = json!({"accessTokenLifespan": lifetime.as_secs()});
        let url = format!("{}/admin/realms/{REALM}", self.url);
        let request = self.http.put(url).bearer_auth(self.admin_token().await).json(&change);
        expect(StatusCode::NO_CONTENT, request).await;
    }

    /// Whether Keycloak itself takes this access token for a living one.
    pub async fn accepts(&self, access_token: &str) -> bool {
        let request = self.introspection(CLIENT_ID, CLIENT_SECRET, &[("token", access_token)]);
        parse(&expect(StatusCode::OK, request).await)["active"] == true
    }

    /// What it wrote to standard output and error.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Stops it.
    pub async fn stop(&self) {
        self.process.stop().await;
    }

    fn realm_url(&self, endpoint: &str) -> String {
        format!("{}/realms/{REALM}/protocol/openid-connect/{endpoint}", self.url)
    }

    async fn sign_in(&self, name: &str, client: &[(&str, &str)], scope: &str) -> Value {
        let person = [("grant_type", "password"), ("username", name), ("password", PASSWORD)];
        let form = [client, &person, &[("scope", scope)]].concat();
        parse(&expect(StatusCode::OK, self.http.post(self.token_endpoint()).form(&form)).await)
    }

    fn introspection(
        &self,
        client_id: &str,
        secret: &str,
        form: &[(&str, &str)],
    ) -> RequestBuilder {
        self.http
            .post(self.realm_url("token/introspect"))
            .basic_auth(client_id, Some(secret))
            .form(form)
    }

    async fn serves(&self) -> Result<(), String> {
        if let Some(status) = self.process.try_exit() {
            panic!("Keycloak ended ({status}):\n{}", self.process.log_tail());
        }
        let answer = self.http.get(format!("{}/realms/master", self.url)).send().await;
        let status = answer.map_err(|error| error.to_string())?.status();
        if status == StatusCode::OK { Ok(()) } else { Err(status.to_string()) }
    }

    async fn create_realm(&self) {
        let url = format!("{}/admin/realms", self.url);
        let request = self
            .http
            .post(url)
            .bearer_auth(self.admin_token().await)
            .json(&realm::realm(&self.signing_key));
        expect(StatusCode::CREATED, request).await;
    }

    /// Fresh each time, for it lives a minute only.
    async fn admin_token(&self) -> String {
        let url = format!("{}/realms/master/protocol/openid-connect/token", self.url);
        let request = self.http.post(url).form(&[
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", ADMIN),
            ("password", ADMIN_PASSWORD),
        ]);
        let answer = parse(&expect(StatusCode::OK, request).await);
        answer["access_token"].as_str().expect("a token response has one").to_owned()
    }
}

/// The home is shared and already built, so nothing but `start --optimized` may run in it; the
/// database is in memory. With its name fixed, tokens are good whatever address they are sent to, as
/// that of a proxy before it.
fn command(home: &Path, port: u16) -> Command {
    let mut command = Command::new(home.join("bin/kc.sh"));
    command
        .args(["start", "--optimized", "--cache=local", "--http-enabled=true"])
        .args([format!("--hostname=http://127.0.0.1:{port}"), format!("--http-port={port}")])
        .arg("--http-host=127.0.0.1")
        .env("KC_BOOTSTRAP_ADMIN_USERNAME", ADMIN)
        .env("KC_BOOTSTRAP_ADMIN_PASSWORD", ADMIN_PASSWORD);
    command
}

async fn expect(status: StatusCode, request: RequestBuilder) -> String {
    let answer = request.send().await.expect("Keycloak answers");
    let (seen, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await.expect("Keycloak answers in full");
    assert_eq!(seen, status, "{url}: {text}");
    text
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("Keycloak answers JSON")
}
