//! Condition types and the one closed list of their reasons.

use strum::{EnumIter, IntoStaticStr};

/// True while the target holds a good access token.
pub const READY: &str = "Ready";
/// True while the operator works towards the spec.
pub const RECONCILING: &str = "Reconciling";
/// True while nothing will get better until somebody acts.
pub const STALLED: &str = "Stalled";

/// True while the protected resource of `spec.probe` takes the token, False when it refused it.
pub const TOKEN_ACCEPTED: &str = "TokenAccepted";

/// What happens after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Class {
    /// No failure.
    #[strum(to_string = "well")]
    Well,
    /// Tried again with a growing back-off; `Ready` stays True while the token is good.
    #[strum(to_string = "passing")]
    Passing,
    /// `Stalled`; nothing is sent until the credential or one of its Secrets changes.
    #[strum(to_string = "configuration")]
    Configuration,
    /// `Stalled` by the authorization server's refusal; tried again hourly and at each change.
    #[strum(to_string = "refused")]
    Refused,
    /// `Stalled`; nothing is sent until a new refresh token is in the source.
    #[strum(to_string = "sign-in")]
    SignIn,
}

macro_rules! reasons {
    ($($name:ident: $class:ident, $meaning:literal, $remedy:literal;)+) => {
        /// Why a condition has its status. Also the reason of events and the label of metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, IntoStaticStr, strum::Display, strum::EnumString)]
        pub enum Reason {
            $(#[doc = $meaning] $name,)+
        }

        impl Reason {
            /// What happens after it.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }

            /// What it means, for the docs.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }

            /// What to do, for the docs.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }
        }
    };
}

reasons! {
    Fresh: Well,
        "The target holds a good access token.",
        "Nothing.";
    Pending: Well,
        "The first access token has not arrived yet, or a renewal is on its way.",
        "Wait a few seconds.";
    Suspended: Well,
        "`spec.suspend` is true: nothing is renewed.",
        "Set `spec.suspend` to false to go on.";
    Valid: Well,
        "The provider (`OAuthProvider` or `ClusterOAuthProvider`) can be used.",
        "Nothing.";
    SpecInvalid: Configuration,
        "The object can't be read, or a field holds a value that can't be used.",
        "Correct the field that the message names.";
    ProviderNotFound: Configuration,
        "The provider that `spec.provider.ref` names does not exist, or its kind is not known to the operator.",
        "Create it, or correct `spec.provider.ref`.";
    ProviderInvalid: Configuration,
        "The provider that `spec.provider.ref` names can't be used: a field of it holds a value that can't be used.",
        "Correct the field that the message names, in that object.";
    ProviderNotAllowed: Configuration,
        "The provider that `spec.provider.ref` names is not for credentials of this namespace.",
        "Name another one, or have somebody who may change it add the namespace to its `spec.namespaces`.";
    SourceNotFound: Configuration,
        "The source Secret does not exist in the credential's namespace.",
        "Create it, or correct `spec.source.name`.";
    SourceInvalid: Configuration,
        "A key of the source Secret is missing, empty, no text, or holds no private key that fits the algorithm.",
        "Correct the key that the message names, or name another in `spec.source.keys`.";
    SourceNotReadable: Passing,
        "The API server refuses or fails to read the source Secret.",
        "Check the operator's rights on Secrets in the namespace; the message has the API server's reason.";
    TargetConflict: Configuration,
        "The target Secret belongs to somebody else: it was not made for this credential, or another credential had the same target first.",
        "Choose another `spec.target.name`, or delete the Secret in the way.";
    TargetNotWritable: Passing,
        "The API server refuses writes of the target Secret.",
        "Look for quotas, admission policies and missing rights in the namespace; the message has the API server's reason.";
    StateNotWritable: Passing,
        "The API server refuses writes of the state Secret. No token request is made then, since a rotated refresh token could not be kept.",
        "Look for quotas, admission policies and missing rights in the namespace; the message has the API server's reason.";
    JournalNotReadable: Passing,
        "A file of the journal is about an exchange of this credential, and is in the format of another release or spoiled. This process sends nothing, since it may hold the newest refresh token.",
        "Run the release that wrote the file, once, with the same journal: it settles it. Or give the file up, as a spoiled one must be: put a new refresh token into the source, or remove the file, as docs/operations.md says.";
    StateInvalid: Configuration,
        "The state Secret is not one this operator wrote, is immutable, or its content can't be read. Nothing is sent.",
        "Restore the Secret, or delete it and put a new refresh token into the source.";
    StateNotAdopted: Configuration,
        "The state Secret was copied here from another cluster or namespace. Nothing is sent, since two that spend one refresh token kill it for both.",
        "Make sure that nothing spends the token there any more, then annotate the credential as the message says; or delete the state Secret and put a new refresh token into the source.";
    StateOutdated: Configuration,
        "The state Secret is older than the target: it was restored from a backup, and its refresh token was replaced since. Nothing is sent.",
        "Restore a newer state, or put a new refresh token into the source. To try the old one all the same, annotate the credential with `oauth-keeper.dev/retry` and the present time.";
    EndpointChanged: Configuration,
        "The refresh token belongs to another token endpoint: its scheme, host or port is not the one the token was first sent to. Nothing is sent.",
        "Correct the endpoint (in `spec.provider`, or in the provider that it names), or annotate the source Secret with `oauth-keeper.dev/allowed-endpoints` as the message says.";
    DuplicateRefreshToken: Configuration,
        "Another credential spends the same refresh token. Nothing is sent, since the two would kill it for each other.",
        "Give each credential a refresh token of its own (sign in once for each), or delete one of the two.";
    EndpointDenied: Configuration,
        "The operator may not connect to the token endpoint: its scheme is not https, or its address is a loopback, link-local, metadata, multicast, reserved or unspecified one, the API server's, or a private one where the operator denies these.",
        "Correct the URL that the message names, or have the operator run with `--allow-http` or `--allow-loopback`, or without `--deny-private-addresses`.";
    EndpointUnreachable: Passing,
        "No connection to the token endpoint: name resolution, TCP or TLS failed. Nothing was sent. After five failures in a row the requests of a namespace to that host are held back, and one at a time is tried; so are those of all namespaces after failures of five of them with no answer in between.",
        "Check the host name, the network policy and the server's certificate.";
    DiscoveryFailed: Passing,
        "The issuer's document (RFC 8414, OpenID Connect Discovery) can't be had, or is not that of this issuer. One that was read earlier stays in use.",
        "Correct `issuer`: it must be what the document says, to the letter. Or give `tokenEndpoint` instead.";
    RateLimited: Passing,
        "The authorization server answered 429. Its `Retry-After` is honoured. After five in a row the requests of a namespace to that host are held back, and one at a time is tried; so are those of all namespaces when five of them failed with no answer in between.",
        "Have fewer credentials on one client, or a longer `renewal.minInterval`.";
    ServerError: Passing,
        "The authorization server answered with a 5xx status, or with `temporarily_unavailable` or the like. After five failures in a row the requests of a namespace to that host are held back, and one at a time is tried; so are those of all namespaces after failures of five of them with no answer in between. (After a refresh token was sent, a 5xx status is `ExchangeOutcomeUnknown`.)",
        "Look at the provider's status page.";
    ResponseInvalid: Passing,
        "The answer is no token response: no JSON object, no usable `access_token`, a redirect, or too large. (After a refresh token was sent, that is `ExchangeOutcomeUnknown`.)",
        "Check that the endpoint of the provider is a token endpoint and no web page or proxy.";
    ExchangeOutcomeUnknown: Passing,
        "The refresh token was sent and nobody knows whether the authorization server replaced it: no complete answer came back, or one that makes no sense. The token is sent again as `provider.reuseGrace` allows, at the latest shortly before the access token expires.",
        "Check the path to the provider. Set `provider.reuseGrace` to what the provider documents. A new refresh token in the source ends the wait; so does the annotation `oauth-keeper.dev/retry` with the present time, which may cost the token.";
    RefreshTokenRejected: Passing,
        "The authorization server called the refresh token invalid. It is asked once more after a minute before that is believed.",
        "Wait for the second answer.";
    ReauthorizationRequired: SignIn,
        "The refresh token is dead: the authorization server called it invalid twice, or it was sent in vain for a day (or as long as a longer `provider.reuseGrace` allows), or its state is lost. Nothing more is sent.",
        "Sign in again and put the new refresh token into the source Secret. To try the old one once more, annotate the credential with `oauth-keeper.dev/retry` and the present time.";
    PasswordRejected: Configuration,
        "The authorization server does not accept user name and password: `invalid_grant`, or a refusal that does not say of what. They are not sent again, since servers lock accounts after some wrong ones.",
        "Correct user name and password in the source. To have them tried once more, annotate the credential with `oauth-keeper.dev/retry` and the present time.";
    ServiceAccountTokenRefused: Passing,
        "The API server gives no token of the service account that grant `tokenExchange` names. Nothing was sent.",
        "Look whether the service account exists in the namespace, and whether the operator may create its tokens: `rbac.serviceAccountTokens` of the chart. The message has the API server's reason.";
    ClientRejected: Refused,
        "The authorization server does not accept the client: `invalid_client` or `unauthorized_client`, or 401 or 403 where neither a refresh token nor a password was sent.",
        "Correct client id and client secret in the source, or the private key there, or `clientAuthentication`.";
    RequestRejected: Refused,
        "The authorization server does not accept the request: `invalid_request`, `invalid_scope`, `unsupported_grant_type`, or another 4xx status.",
        "Correct `scopes`, `grant` or `request`, whichever the message points to.";
    ProbeAccepted: Well,
        "The protected resource of `spec.probe` took the token.",
        "Nothing.";
    ProbeRejected: Passing,
        "The protected resource of `spec.probe` refused the token. It was renewed at once; if the next one is refused as well, it is not renewed again for that before one was taken.",
        "If it stays: check `spec.probe.url`, the scopes, and whether the provider revoked the client.";
    ProbeInconclusive: Well,
        "The protected resource of `spec.probe` did not answer, or with a status that says nothing about the token.",
        "If it stays: check `spec.probe.url` and the network policy.";
    LifetimeUnknown: Configuration,
        "The access token came without a usable lifetime, so that nobody knows when to renew it. It is in the target all the same.",
        "Set `provider.defaultLifetime`.";
}

impl Reason {
    /// The word that conditions, events and metrics carry.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
