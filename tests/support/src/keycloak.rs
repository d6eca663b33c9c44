//! A real Keycloak, for `client_credentials` as ThingPark speaks it.
//!
//! ThingPark's path is `/users-auth/protocol/openid-connect/token`. A plain Keycloak always has
//! `/realms/NAME` before `/protocol`, and its `--http-relative-path` only adds a prefix to that, so
//! the path here is `/realms/users-auth/protocol/openid-connect/token`; all else is the same.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{http_client, ports, scratch, tools, wait};

/// Half a minute on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(300);
const REALM: &str = "users-auth";
const CLIENT_ID: &str = "thingpark-client";
const CLIENT_SECRET: &str = "thingpark-client-secret";
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(300);
const ADMIN: &str = "admin";
const ADMIN_PASSWORD: &str = "keycloak-admin-password";

/// The running server. Dropping it kills it.
#[derive(Debug)]
pub struct Keycloak {
    url: String,
    http: reqwest::Client,
    process: Process,
    // Last, so that it is removed when nothing writes into it.
    _folder: TempDir,
}

impl Keycloak {
    /// Starts it and creates a realm with a confidential client, whose tokens live five minutes.
    pub async fn start() -> Self {
        let folder = scratch::folder("keycloak");
        let [port] = ports::free();
        let command = command(&tools::installed("keycloak").await, port);
        let process = Process::start("keycloak", &command, &folder.path().join("keycloak.log"));
        let keycloak = Self {
            url: format!("http://127.0.0.1:{port}"),
            http: http_client::new(),
            process,
            _folder: folder,
        };
        wait::until_ok("Keycloak serves", START_LIMIT, || keycloak.serves()).await;
        keycloak.create_realm().await;
        keycloak
    }

    /// The realm's token endpoint.
    pub fn token_endpoint(&self) -> String {
        self.realm_url("token")
    }

    /// The client, which may use `client_credentials`, by Basic or with its secret in the body.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// The secret of that client.
    pub fn client_secret(&self) -> &'static str {
        CLIENT_SECRET
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
        let request = self
            .http
            .post(self.realm_url("token/introspect"))
            .basic_auth(CLIENT_ID, Some(CLIENT_SECRET))
            .form(&[("token", access_token)]);
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

    async fn serves(&self) -> Result<(), String> {
        if let Some(status) = self.process.try_exit() {
            panic!("Keycloak ended ({status}):\n{}", self.process.log_tail());
        }
        let answer = self.http.get(format!("{}/realms/master", self.url)).send().await;
        let status = answer.map_err(|error| error.to_string())?.status();
        if status == StatusCode::OK { Ok(()) } else { Err(status.to_string()) }
    }

    async fn create_realm(&self) {
        let realm = json!({
            "realm": REALM,
            "enabled": true,
            "accessTokenLifespan": ACCESS_TOKEN_LIFETIME.as_secs(),
            "clients": [{
                "clientId": CLIENT_ID,
                "secret": CLIENT_SECRET,
                "publicClient": false,
                "serviceAccountsEnabled": true,
                "standardFlowEnabled": false,
            }],
        });
        let url = format!("{}/admin/realms", self.url);
        let request = self.http.post(url).bearer_auth(self.admin_token().await).json(&realm);
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
/// database is in memory.
fn command(home: &Path, port: u16) -> Command {
    let mut command = Command::new(home.join("bin/kc.sh"));
    command
        .args(["start", "--optimized", "--cache=local", "--http-enabled=true"])
        .args(["--hostname-strict=false", "--http-host=127.0.0.1"])
        .arg(format!("--http-port={port}"))
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
