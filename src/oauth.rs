//! OAuth 2.0 as a client sees it (RFC 6749): requests, answers, errors and the transport. Knows nothing of Kubernetes.

pub mod address;
pub mod client_auth;
pub mod cookie_session;
pub mod cookies;
pub mod discovery;
pub mod error;
pub mod fingerprint;
pub mod jwt;
pub mod jwt_bearer;
pub mod proxy;
pub mod request;
pub mod response;
pub mod revocation;
pub mod secret;
pub mod sent;
pub mod tls;
pub mod token_exchange;
pub mod transport;
