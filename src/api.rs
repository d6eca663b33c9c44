//! The custom resources: types, bounds and CEL rules, and nothing that acts on them.

pub mod condition;
pub mod credential;
pub mod grant;
pub mod provider;
pub mod renewal;
pub mod source;
pub mod target;

pub use condition::Reason;
pub use credential::{OAuthCredential, OAuthCredentialSpec, OAuthCredentialStatus};

/// The API group, also the prefix of every label and annotation.
pub const GROUP: &str = "oauth-keeper.dev";

/// The field manager of every write the operator makes.
pub const FIELD_MANAGER: &str = "oauth-keeper";

/// Go durations, as Kubernetes writes them: `90s`, `1h30m`.
pub(crate) const DURATION_PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// Names of objects: a DNS-1123 subdomain.
pub(crate) const NAME_PATTERN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
