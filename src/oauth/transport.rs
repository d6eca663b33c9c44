//! The one way out: no redirect, no proxy from the environment, no retry, no decompression, checked addresses and certificates,
//! bounded size and time.

mod cache;
mod resolver;
mod side;
mod trust;

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, COOKIE, HeaderValue};
use jiff::Timestamp;
use reqwest::{Client, Proxy, Response, redirect, retry};
use rustls::{CertificateError, ClientConfig};
use tower::BoxError;
use tower::util::AndThenLayer;
use zeroize::Zeroizing;

use super::address::{AddressPolicy, check_url};
use super::cookies::set_cookies;
use super::error::TokenError;
use super::proxy::ProxyUrl;
use super::request::{Method, TokenRequest};
use super::response::{Ending, MAX_BODY_BYTES, MAX_HEADER_BYTES, RawResponse};
use super::tls::Tls;

use self::cache::Cache;
use self::resolver::{CheckedResolver, DeniedAddress, Lookup, system};
use self::side::{is_of_no_root, side, tls_error};
use self::trust::Trust;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers that are read, if not used.
const MOST_HEADER_BYTES: u32 = 256 * 1024;
/// For a whole answer where nothing is spent.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The same where a refresh token is: who hangs up on a slow server loses the token that its answer brings.
pub const SPEND_TIMEOUT: Duration = Duration::from_secs(120);

/// Says, at the last moment, whether a request may still go out.
pub type SendGuard = Arc<dyn Fn() -> bool + Send + Sync>;

tokio::task_local! {
    /// The guard of the request that this task is sending.
    static GUARD: SendGuard;
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A client can't be built.
    #[error("the client for token endpoints can't be built: {0}")]
    Client(#[from] reqwest::Error),
    /// The same, as when the platform has no TLS roots.
    #[error("the client for token endpoints can't be built: {0}")]
    Tls(#[from] rustls::Error),
    /// The proxy's URL.
    #[error("--proxy {0}")]
    Proxy(&'static str),
}

/// Sends token requests.
#[derive(Clone)]
pub struct Transport {
    policy: AddressPolicy,
    maker: Arc<Maker>,
    /// For providers that need nothing besides.
    usual: Clients,
    /// For those that have roots or show a certificate.
    others: Arc<Cache<Clients>>,
    begun: Instant,
}

#[derive(Clone)]
struct Clients {
    /// Reuses connections; for grants that spend nothing.
    pooled: Client,
    /// Connects anew each time; a reused connection may die under the request and leave its outcome unknown.
    fresh: Client,
}

/// Makes clients.
struct Maker {
    resolver: Arc<CheckedResolver>,
    proxy: Option<Proxy>,
    trust: Trust,
}

impl Maker {
    fn clients(&self, tls: &Tls) -> Result<Clients, TransportError> {
        let config = self.trust.config(tls)?;
        let guarded = AndThenLayer::new(|connection| async move {
            match GUARD.try_with(|may_send| may_send()) {
                Ok(true) => Ok::<_, BoxError>(connection),
                _ => Err(TooLate.into()),
            }
        });
        Ok(Clients {
            pooled: self.builder(config.clone()).build()?,
            fresh: self
                .builder(config)
                .pool_max_idle_per_host(0)
                .connector_layer(guarded)
                .build()?,
        })
    }

    fn builder(&self, config: ClientConfig) -> reqwest::ClientBuilder {
        let builder = Client::builder()
            .user_agent(concat!("oauth-keeper/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .tls_backend_preconfigured(config)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            // Of an answer with larger headers HTTP/2 would leave nothing, and its new refresh token were lost.
            .http2_max_header_list_size(MOST_HEADER_BYTES)
            .dns_resolver(Arc::clone(&self.resolver));
        match &self.proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder,
        }
    }
}

impl Transport {
    /// Connects without a proxy.
    ///
    /// # Errors
    /// When the TLS roots of the platform can't be loaded.
    pub fn new(policy: AddressPolicy) -> Result<Self, TransportError> {
        Self::through(policy, None)
    }

    /// Connects through a proxy, if one is given. Then it is the proxy that looks up names: only addresses that stand in
    /// a URL are judged.
    ///
    /// # Errors
    /// As [`Transport::new`], and when the proxy's URL can't be used.
    pub fn through(
        policy: AddressPolicy,
        proxy: Option<&ProxyUrl>,
    ) -> Result<Self, TransportError> {
        Self::looking_up(policy, proxy, system())
    }

    fn looking_up(
        policy: AddressPolicy,
        proxy: Option<&ProxyUrl>,
        lookup: Lookup,
    ) -> Result<Self, TransportError> {
        let proxy = proxy.map(ProxyUrl::read).transpose().map_err(TransportError::Proxy)?;
        let host = proxy.as_ref().and_then(|url| url.host_str()).map(ToOwned::to_owned);
        let proxy = proxy.map(Proxy::all).transpose()?;
        let resolver = Arc::new(CheckedResolver { policy, proxy: host, lookup });
        let maker = Arc::new(Maker { resolver, proxy, trust: Trust::of_the_platform()? });
        let usual = maker.clients(&Tls::default())?;
        Ok(Self { policy, maker, usual, others: Arc::default(), begun: Instant::now() })
    }

    /// The clients for these needs.
    fn clients(&self, tls: &Tls) -> Result<Clients, TokenError> {
        let Some(digest) = tls.digest() else { return Ok(self.usual.clone()) };
        let made = self.others.get(digest, self.begun.elapsed(), || self.maker.clients(tls).ok());
        // What could be said of it was said where it was read.
        made.ok_or_else(|| {
            TokenError::NotSent("the certificates of the provider can't be used".to_owned())
        })
    }

    /// Sends a request that spends nothing, and reads the answer.
    ///
    /// # Errors
    /// [`TokenError::Denied`], [`TokenError::Unreachable`] and [`TokenError::NotSent`] before the first byte went out,
    /// [`TokenError::OutcomeUnknown`] after.
    pub async fn send(&self, request: &TokenRequest) -> Result<RawResponse, TokenError> {
        self.send_over(&self.clients(&request.tls)?.pooled, request, ANSWER_TIMEOUT).await
    }

    /// Sends a request that spends a token, over a connection of its own. `may_send` is asked when the connection stands,
    /// right before the first byte goes out. The answer is waited for within `limit`; one that broke off is given as far as
    /// it came.
    ///
    /// # Errors
    /// As [`Transport::send`]; [`TokenError::NotSent`] also when `may_send` said no.
    pub async fn spend(
        &self,
        request: &TokenRequest,
        limit: Duration,
        may_send: SendGuard,
    ) -> Result<RawResponse, TokenError> {
        let client = self.clients(&request.tls)?.fresh;
        GUARD.scope(may_send, self.send_over(&client, request, limit)).await
    }

    async fn send_over(
        &self,
        client: &Client,
        request: &TokenRequest,
        limit: Duration,
    ) -> Result<RawResponse, TokenError> {
        check_url(&request.endpoint, self.policy)
            .map_err(|why| TokenError::Denied(format!("the endpoint {why}")))?;
        let method = match request.method {
            Method::Post => reqwest::Method::POST,
            Method::Get => reqwest::Method::GET,
        };
        let mut headers = request.headers.clone();
        if request.method == Method::Post && request.body.is_empty() {
            // Of no body nothing is said else, and there are servers that answer 411 to that (RFC 9110 §8.6).
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // Else any coding may come (RFC 9110 §12.5.3), and a token in it would be lost.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = client
            .request(method, request.endpoint.clone())
            .headers(headers)
            .body(request.body.as_bytes().to_vec())
            .timeout(limit)
            .send()
            .await
            .map_err(|error| unanswered(&error, limit, &request.tls))?;
        let is_session = request.headers.contains_key(COOKIE);
        let set_cookies = if is_session { set_cookies(response.headers()) } else { Vec::new() };
        Ok(RawResponse { set_cookies, ..read(response).await })
    }
}

async fn read(mut response: Response) -> RawResponse {
    let status = response.status().as_u16();
    let header = response.headers().get(http::header::RETRY_AFTER);
    let retry_after = header.and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let headers: usize = response
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len().saturating_add(value.len()).saturating_add(4))
        .sum();
    let mut body = Zeroizing::new(Vec::new());
    let ending = loop {
        match response.chunk().await {
            Ok(None) if headers > MAX_HEADER_BYTES => break Ending::TooLarge,
            Ok(None) => break Ending::Whole,
            Ok(Some(chunk)) => {
                let room = MAX_BODY_BYTES.saturating_sub(body.len());
                body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                if chunk.len() > room {
                    break Ending::TooLarge;
                }
            }
            Err(_) => break Ending::BrokenOff,
        }
    };
    RawResponse {
        status,
        retry_after,
        received_at: Timestamp::now(),
        ending,
        body,
        set_cookies: Vec::new(),
    }
}

/// Tells apart what failed before the request went out from what failed after.
fn unanswered(error: &reqwest::Error, limit: Duration, tls: &Tls) -> TokenError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(denied) = cause.downcast_ref::<DeniedAddress>() {
            return TokenError::Denied(denied.to_string());
        }
        if cause.is::<TooLate>() {
            return TokenError::NotSent(TooLate.to_string());
        }
        source = cause.source();
    }
    let side = side(error, tls);
    if error.is_connect() {
        TokenError::Unreachable(connect_failure(error), side)
    } else if error.is_timeout() {
        TokenError::OutcomeUnknown(format!("no answer within {} seconds", limit.as_secs()), side)
    } else {
        TokenError::OutcomeUnknown("the connection was lost before an answer came".to_owned(), side)
    }
}

/// The innermost cause, which names DNS, TCP or TLS; it holds addresses and names that the caller gave. What a certificate
/// says is the server's own word, which may repeat what it was sent before.
fn connect_failure(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!(
            "no connection to the token endpoint within {} seconds",
            CONNECT_TIMEOUT.as_secs()
        );
    }
    if let Some(rustls::Error::InvalidCertificate(why)) = tls_error(error) {
        return format!("no connection to the token endpoint: its certificate {}", fault(why));
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let cause: String =
        innermost.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
    format!("no connection to the token endpoint: {cause}")
}

fn fault(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name"
        }
        why if is_of_no_root(why) => "is of an authority that is not trusted",
        CertificateError::Revoked => "was revoked",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not one of a server"
        }
        _ => "can't be verified",
    }
}

/// The connection stood too late.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the token endpoint took too long, so that nothing was sent")]
struct TooLate;

#[cfg(test)]
mod tests;
