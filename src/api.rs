//! The custom resources: types, bounds and CEL rules, and nothing that acts on them.

pub mod condition;
pub mod credential;
pub mod grant;
pub mod probe;
pub mod provider;
pub mod renewal;
pub mod signing;
pub mod source;
pub mod state;
pub mod target;

pub use condition::Reason;
pub use credential::{OAuthCredential, OAuthCredentialSpec, OAuthCredentialStatus};
pub use provider::{ClusterOAuthProvider, OAuthProvider};
pub use state::DeletionPolicy;

/// The API group, also the prefix of every label and annotation.
pub const GROUP: &str = "oauth-keeper.dev";

/// The field manager of every write the operator makes.
pub const FIELD_MANAGER: &str = "oauth-keeper";

/// Kept on credentials with a state, until that is dealt with as `state.deletionPolicy` says.
pub const FINALIZER: &str = "oauth-keeper.dev/state";

/// Annotation of a credential by which a user asks for one more try of a refresh token that is held or called dead. Its
/// value is the time of the asking (RFC 3339); a try made later uses it up.
pub const RETRY: &str = "oauth-keeper.dev/retry";

/// Annotation of a credential by which a user has it take over a state from another cluster or namespace. Its value is
/// the UID of that state Secret.
pub const ADOPT_STATE: &str = "oauth-keeper.dev/adopt-state";

/// Annotation of a source Secret with the origins (`https://host`), separated by spaces, to which its refresh token may be
/// sent besides the one it was first sent to. Whoever may set it may read the token.
pub const ALLOWED_ENDPOINTS: &str = "oauth-keeper.dev/allowed-endpoints";

/// Go durations, as Kubernetes writes them: `90s`, `1h30m`.
pub(crate) const DURATION_PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// Names of cookies (RFC 6265 §4.1.1).
pub(crate) const COOKIE_NAME_PATTERN: &str = "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$";

/// Names of objects: a DNS-1123 subdomain.
pub(crate) const NAME_PATTERN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
