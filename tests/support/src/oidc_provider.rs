//! The certified OpenID provider of npm, `oidc-provider`, set to rotate strictly: every refresh
//! token works once, and presenting a used one ends its grant.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::{http_client, scratch, tools, wait};

const START_LIMIT: Duration = Duration::from_secs(60);
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// A client the provider knows, with the one way to authenticate that it accepts from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OidcClient {
    /// The client id.
    pub id: &'static str,
    /// Its secret.
    pub secret: &'static str,
}

/// Must send id and secret in the body.
pub const POST_CLIENT: OidcClient = OidcClient { id: "post-client", secret: "post-secret" };
/// Must send id and secret in the Authorization header.
pub const BASIC_CLIENT: OidcClient = OidcClient { id: "basic-client", secret: "basic-secret" };

/// Shows a certificate for `client.example` of the authority given, over TLS.
pub const TLS_CLIENT: OidcClient = OidcClient { id: "tls-client", secret: "" };

/// The API that its tokens can be asked for (RFC 8707): they are JWTs then, with the scope `read`.
pub const API: &str = "https://api.example.com/";

/// What the listener with TLS works with, as PEM.
#[derive(Debug, Clone)]
pub struct OidcTls {
    /// The server's certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The authority of clients.
    pub authority: String,
}

/// What the provider knows of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct RefreshTokenState {
    /// Whether it would be accepted now.
    pub live: bool,
    /// Whether it was used; none when never issued, or when its grant was ended.
    pub consumed: Option<bool>,
}

/// What the provider has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct OidcStats {
    /// Requests to the token endpoint.
    pub token_requests: u64,
    /// Refresh tokens redeemed.
    pub refresh_exchanges: u64,
    /// Used refresh tokens presented again while their grant lived.
    pub reuses: u64,
}

/// The running provider. Dropping it kills it.
#[derive(Debug)]
pub struct OidcProvider {
    issuer: String,
    tls_port: Option<u16>,
    http: reqwest::Client,
    process: Process,
    // Last, so that it is removed when nothing writes into it.
    _folder: TempDir,
}

impl OidcProvider {
    /// Starts it, with access tokens that live a minute.
    pub async fn start() -> Self {
        Self::start_with(ACCESS_TOKEN_LIFETIME).await
    }

    /// Starts it, with access tokens of that life (whole seconds).
    pub async fn start_with(access_token_lifetime: Duration) -> Self {
        Self::begin(access_token_lifetime, None, None).await
    }

    /// Starts it with a listener with TLS beside the other.
    pub async fn start_with_tls(access_token_lifetime: Duration, tls: &OidcTls) -> Self {
        Self::begin(access_token_lifetime, Some(tls), None).await
    }

    /// Starts it, with access tokens of that life (whole seconds), for other clients than those above, given as in dynamic
    /// registration (RFC 7591 §2).
    pub async fn start_for(access_token_lifetime: Duration, clients: Option<&Value>) -> Self {
        Self::begin(access_token_lifetime, None, clients).await
    }

    async fn begin(
        access_token_lifetime: Duration,
        tls: Option<&OidcTls>,
        clients: Option<&Value>,
    ) -> Self {
        let folder = scratch::folder("oidc-provider");
        let mut command = Command::new("node");
        command
            .arg("server.mjs")
            .args(clients.map(Value::to_string))
            .current_dir(tools::installed("oidc-provider").await)
            .env("PORT", "0")
            .env("ACCESS_TTL", access_token_lifetime.as_secs().to_string());
        if let Some(OidcTls { certificate, key, authority }) = tls {
            let tls = json!({"cert": certificate, "key": key, "ca": authority});
            command.env("TLS", tls.to_string());
        }
        let log = folder.path().join("oidc-provider.log");
        let process = Process::start("oidc-provider", &command, &log);
        let (issuer, tls_port) = wait::until_ok("oidc-provider listens", START_LIMIT, || async {
            if let Some(status) = process.try_exit() {
                panic!("oidc-provider ended ({status}):\n{}", process.log_tail());
            }
            let log = process.log();
            issuer(&log).ok_or(log)
        })
        .await;
        Self { issuer, tls_port, http: http_client::new(), process, _folder: folder }
    }

    /// Its issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its token endpoint.
    pub fn token_endpoint(&self) -> String {
        format!("{}/token", self.issuer)
    }

    /// Its token endpoint with TLS.
    pub fn tls_token_endpoint(&self) -> String {
        format!("https://localhost:{}/token", self.tls_port.expect("it was started with TLS"))
    }

    /// Its revocation endpoint (RFC 7009): a refresh token ends with its grant.
    pub fn revocation_endpoint(&self) -> String {
        format!("{}/token/revocation", self.issuer)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        let address = self.issuer.strip_prefix("http://").and_then(|address| address.parse().ok());
        address.expect("its issuer is a loopback address")
    }

    /// The first refresh token of a new grant for this client.
    pub async fn seed(&self, client: OidcClient) -> String {
        self.seed_of(client.id).await
    }

    /// The same for the client of that id.
    pub async fn seed_of(&self, client_id: &str) -> String {
        let answer: Value = self.control("seed", &json!({"client_id": client_id})).await;
        answer["refresh_token"].as_str().expect("a seed is a refresh token").to_owned()
    }

    /// What the provider knows of a refresh token.
    pub async fn inspect(&self, refresh_token: &str) -> RefreshTokenState {
        self.control("inspect", &json!({"refresh_token": refresh_token})).await
    }

    /// The refresh token issued last of the grant of this one; none when the grant was ended.
    pub async fn newest(&self, refresh_token: &str) -> Option<String> {
        let answer: Value = self.control("newest", &json!({"refresh_token": refresh_token})).await;
        answer["refresh_token"].as_str().map(str::to_owned)
    }

    /// What the provider has counted.
    pub async fn stats(&self) -> OidcStats {
        read("stats", self.http.get(format!("{}/test/stats", self.issuer))).await
    }

    /// What it wrote to standard output and error.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Stops it.
    pub async fn stop(&self) {
        self.process.stop().await;
    }

    async fn control<T: DeserializeOwned>(&self, name: &str, body: &Value) -> T {
        read(name, self.http.post(format!("{}/test/{name}", self.issuer)).json(body)).await
    }
}

async fn read<T: DeserializeOwned>(name: &str, request: reqwest::RequestBuilder) -> T {
    let answer = request.send().await.expect("oidc-provider answers");
    let text = answer.text().await.expect("oidc-provider answers in full");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("oidc-provider, {name}: {text}"))
}

/// The line it prints when it listens: its issuer, and the port with TLS.
fn issuer(log: &str) -> Option<(String, Option<u16>)> {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find_map(|line| {
        let tls_port = line["tls_port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Some((line["issuer"].as_str()?.to_owned(), tls_port))
    })
}
