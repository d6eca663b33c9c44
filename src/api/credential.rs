//! `OAuthCredential`: one access token, kept fresh in one target Secret.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::grant::Grant;
use super::probe::ProbeSpec;
use super::provider::CredentialProvider;
use super::renewal::RenewalSpec;
use super::source::SourceSpec;
use super::state::StateSpec;
use super::target::TargetSpec;

/// What the user wants.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "oauth-keeper.dev",
    version = "v1alpha1",
    kind = "OAuthCredential",
    namespaced,
    status = "OAuthCredentialStatus",
    derive = "PartialEq",
    shortname = "oac",
    category = "oauth-keeper",
    doc = "An OAuth credential whose access token the operator keeps fresh in a target Secret.",
    printcolumn(name = "READY", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "REASON", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "EXPIRES", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "RENEWAL", type_ = "string", json_path = ".status.nextRenewalTime"),
    printcolumn(name = "TARGET", type_ = "string", json_path = ".spec.target.name"),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 241")
        .message("metadata.name may have at most 241 characters: the state Secret is named after it"),
    validation = Rule::new("self.spec.target.name != self.metadata.name + '-oauth-state'")
        .message("target.name must not be the name of the state Secret (<metadata.name>-oauth-state)"),
    validation = Rule::new("self.spec.source.name != self.metadata.name + '-oauth-state'")
        .message("source.name must not be the name of the state Secret (<metadata.name>-oauth-state)")
)]
#[x_kube(
    validation = Rule::new("self.target.name != self.source.name")
        .message("target.name must differ from source.name: a token is never written over what it was asked for with"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.clientCredentials) || !has(self.source.keys) || !has(self.source.keys.refreshToken)")
        .message("source.keys.refreshToken is not used by grant clientCredentials; remove it"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.clientCredentials) || !has(self.provider.clientAuthentication) || self.provider.clientAuthentication.method != 'None'")
        .message("grant clientCredentials needs a client secret: clientAuthentication.method can't be None"),
    validation = Rule::new("!has(self.source.keys) || !has(self.source.keys.clientSecret) || !has(self.provider.clientAuthentication) || !(self.provider.clientAuthentication.method in ['None', 'PrivateKeyJwt', 'TlsClientAuth']) || (has(self.grant) && has(self.grant.jwtBearer) && has(self.grant.jwtBearer.algorithm) && self.grant.jwtBearer.algorithm.startsWith('HS'))")
        .message("source.keys.clientSecret is not used with clientAuthentication.method None, PrivateKeyJwt or TlsClientAuth; remove one of them"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.clientCredentials) || !has(self.source.writeBack) || !self.source.writeBack")
        .message("source.writeBack is not used by grant clientCredentials; remove it"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.clientCredentials) || !has(self.state)")
        .message("state is not used by grant clientCredentials, which keeps none; remove it"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.clientCredentials) || !has(self.provider.reuseGrace)")
        .message("provider.reuseGrace is not used by grant clientCredentials; remove it"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.clientCredentials) || !has(self.provider.revocationEndpoint)")
        .message("provider.revocationEndpoint is not used by grant clientCredentials; remove it"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.clientCredentials) || !has(self.provider.refreshEndpoint)")
        .message("provider.refreshEndpoint is not used by grant clientCredentials; remove it"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.jwtBearer) || !((has(self.source.keys) && has(self.source.keys.refreshToken)) || (has(self.source.writeBack) && self.source.writeBack) || has(self.state) || has(self.provider.reuseGrace) || has(self.provider.revocationEndpoint) || has(self.provider.refreshEndpoint))")
        .message("grant jwtBearer has no refresh token: remove source.keys.refreshToken, source.writeBack, state, provider.reuseGrace, provider.revocationEndpoint and provider.refreshEndpoint"),
    validation = Rule::new("!has(self.source.keys) || !has(self.source.keys.privateKey) || has(self.provider.ref) || (has(self.grant) && has(self.grant.jwtBearer) && !(has(self.grant.jwtBearer.algorithm) && self.grant.jwtBearer.algorithm.startsWith('HS'))) || (has(self.provider.clientAuthentication) && self.provider.clientAuthentication.method == 'PrivateKeyJwt')")
        .message("source.keys.privateKey is used by clientAuthentication.method PrivateKeyJwt and by grant jwtBearer with an algorithm of a private key alone; remove it"),
    validation = Rule::new("!has(self.source.keys) || !has(self.source.keys.nextClientSecret) || ((!has(self.grant) || !has(self.grant.cookieSession)) && (!has(self.provider.clientAuthentication) || self.provider.clientAuthentication.method in ['ClientSecretBasic', 'ClientSecretPost', 'ClientSecretJwt']))")
        .message("source.keys.nextClientSecret is used by clientAuthentication.method ClientSecretBasic, ClientSecretPost and ClientSecretJwt alone; remove it"),
    validation = Rule::new("!has(self.provider.request) || !has(self.provider.request.parameters) || !((has(self.audience) && 'audience' in self.provider.request.parameters) || (has(self.resources) && 'resource' in self.provider.request.parameters))")
        .message("audience and resources must not stand in provider.request.parameters too; remove one of them"),
    validation = Rule::new("!has(self.grant) || !(has(self.grant.clientCredentials) || has(self.grant.jwtBearer) || has(self.grant.password) || has(self.grant.tokenExchange)) || !(has(self.provider.refreshTokenLifetime) || has(self.provider.refreshTokenIdleLifetime) || has(self.provider.refreshTokenAbsoluteLifetime))")
        .message("this grant has no refresh token: remove provider.refreshTokenLifetime, provider.refreshTokenIdleLifetime and provider.refreshTokenAbsoluteLifetime"),
    validation = Rule::new("!has(self.source.keys) || !((has(self.source.keys.clientSecret) && !(has(self.grant) && has(self.grant.jwtBearer) && has(self.grant.jwtBearer.algorithm) && self.grant.jwtBearer.algorithm.startsWith('HS'))) || has(self.source.keys.nextClientSecret)) || has(self.provider.ref) || has(self.provider.clientAuthentication) || !has(self.grant) || !has(self.grant.jwtBearer)")
        .message("source.keys.clientSecret and source.keys.nextClientSecret are not used by grant jwtBearer without clientAuthentication, but for a clientSecret that signs (algorithm HS256, HS384 or HS512); remove them"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.jwtBearer) || !has(self.grant.jwtBearer.assertionIn) || self.grant.jwtBearer.assertionIn != 'AuthorizationHeader' || !has(self.provider.clientAuthentication) || self.provider.clientAuthentication.method != 'ClientSecretBasic'")
        .message("grant.jwtBearer.assertionIn AuthorizationHeader takes the header that clientAuthentication.method ClientSecretBasic uses; change one of them"),
    validation = Rule::new("!has(self.renewal) || !has(self.renewal.renewBefore) || !has(self.provider.earliestRenewal) || self.renewal.renewBefore.endsWith('%') || duration(self.renewal.renewBefore) <= duration(self.provider.earliestRenewal)")
        .message("renewal.renewBefore must not be longer than provider.earliestRenewal: the authorization server refuses renewals before that"),
    validation = Rule::new("!has(self.source.keys) || !(has(self.source.keys.username) || has(self.source.keys.password)) || (has(self.grant) && has(self.grant.password))")
        .message("source.keys.username and source.keys.password are used by grant password alone; remove them"),
    validation = Rule::new("!has(self.grant) || !(has(self.grant.password) || has(self.grant.tokenExchange)) || !(has(self.state) || (has(self.source.writeBack) && self.source.writeBack) || (has(self.source.keys) && has(self.source.keys.refreshToken)) || has(self.provider.reuseGrace) || has(self.provider.refreshEndpoint) || has(self.provider.revocationEndpoint))")
        .message("grants password and tokenExchange use no refresh token: remove state, source.writeBack, source.keys.refreshToken, provider.reuseGrace, provider.refreshEndpoint and provider.revocationEndpoint"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.cookieSession) || !has(self.provider.clientAuthentication) || self.provider.clientAuthentication.method == 'None'")
        .message("grant cookieSession sends no client: provider.clientAuthentication.method can only be None"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.cookieSession) || !(has(self.scopes) || has(self.audience) || has(self.resources) || has(self.parameters) || has(self.provider.response) || has(self.provider.refreshEndpoint) || has(self.target.cookieName) || (has(self.source.keys) && (has(self.source.keys.clientId) || has(self.source.keys.clientSecret))))")
        .message("grant cookieSession sends a cookie and reads cookies: remove scopes, audience, resources, parameters, provider.response, provider.refreshEndpoint, target.cookieName (its cookie is in the target already), source.keys.clientId and source.keys.clientSecret"),
    validation = Rule::new("!has(self.grant) || !has(self.grant.cookieSession) || !has(self.provider.request) || !(has(self.provider.request.method) || has(self.provider.request.encoding) || has(self.provider.request.parameters) || has(self.provider.request.parameterNames) || has(self.provider.request.omitParameters) || has(self.provider.request.grantType) || has(self.provider.request.scopeSeparator))")
        .message("grant cookieSession uses nothing of provider.request but headers; remove the rest"),
    validation = Rule::new("!has(self.provider.revocationEndpoint) || !has(self.state) || !has(self.state.deletionPolicy) || self.state.deletionPolicy != 'Retain'")
        .message("provider.revocationEndpoint is not used with state.deletionPolicy Retain: a retained token must stay alive")
)]
pub struct OAuthCredentialSpec {
    /// The authorization server and how to speak to it.
    pub provider: CredentialProvider,
    /// The grant that yields the access token. Exactly one member; `refreshToken` by default.
    // The schema has no default: once stored, it would stay beside another grant that is applied later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("[has(self.refreshToken), has(self.clientCredentials), has(self.jwtBearer), has(self.password), has(self.tokenExchange), has(self.cookieSession)].filter(set, set).size() == 1")
            .message("grant takes exactly one of refreshToken, clientCredentials, jwtBearer, password, tokenExchange and cookieSession")
    )]
    pub grant: Option<Box<Grant>>,
    /// The Secret that holds the client id, the client secret and the refresh token.
    pub source: SourceSpec,
    /// The Secret that workloads mount.
    pub target: TargetSpec,
    /// The Secret that the operator keeps the newest refresh token in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateSpec>,
    /// Scopes to request, sent joined by spaces (RFC 6749 §3.3). None by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 256), regex(pattern = r"^[!#-\[\]-~]+$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub scopes: Vec<String>,
    /// `audience` of the token request (RFC 8693 §2.1, and many servers for any grant): for whom the token shall be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^[ -~]+$"))]
    pub audience: Option<String>,
    /// `resource` of the token request, once for each (RFC 8707 §2): URIs of what the token shall give access to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 1024), regex(pattern = r"^[A-Za-z][-+.A-Za-z0-9]*:[!-~]+$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub resources: Vec<String>,
    /// More members of the token request, each with a literal value; they win over those of the provider. They are no
    /// place for secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 1024},
    ))]
    #[x_kube(
        validation = Rule::new("self.all(name, name.size() >= 1 && name.size() <= 128)")
            .message("parameters has a name that is empty or longer than 128 characters"),
        validation = Rule::new("self.all(name, !(name in ['grant_type', 'client_id', 'client_secret', 'refresh_token', 'scope', 'audience', 'resource', 'client_assertion', 'client_assertion_type', 'assertion', 'username', 'password', 'subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type']))")
            .message("parameters must not set what the operator sends itself: use scopes, audience, resources or provider.request")
    )]
    pub parameters: BTreeMap<String, String>,
    /// When to renew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Box<RenewalSpec>>,
    /// Whether a protected resource still takes the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Box<ProbeSpec>>,
    /// Stop all renewals of this credential. What is in the target stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What the operator saw. Only `failure` is ever read back, to go on with a back-off after a restart.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuthCredentialStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` always; `Reconciling` and `Stalled` only while they are True; `TokenAccepted` once the token was probed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// When the access token in the target was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Time>,
    /// When the access token in the target expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When the next renewal is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_renewal_time: Option<Time>,
    /// When the access token was last renewed; absent until the first renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_renewal_time: Option<Time>,
    /// The scopes the authorization server granted, where it said so (RFC 6749 §5.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    // Boxed, as the next: each status is in memory, and most lack one of them or both.
    /// The refresh token's history; absent for grants without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Box<RefreshTokenStatus>>,
    /// The failure that is being waited out or that a human must mend; absent when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<FailureStatus>>,
    /// The target as it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetStatus>,
}

/// The refresh token's history. Never the token.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshTokenStatus {
    /// How often the authorization server returned a new refresh token since the seed.
    #[serde(default)]
    pub rotations: i64,
    /// When it last did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Time>,
    /// When the newest one expires, as far as the server or the provider's settings tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// A failure and its back-off.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureStatus {
    /// The same word as the reason of the conditions.
    pub reason: String,
    /// Attempts since the failure began.
    pub attempts: i64,
    /// When the failure began.
    pub since: Time,
    /// When it was last seen.
    pub last_attempt_time: Time,
    /// When it is tried again; absent when only a change of the credential or its Secrets can help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<Time>,
    /// The `resourceVersion` of the source that failed: another one is tried at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// A digest of the provider that failed, where it is not given inline: another one is tried at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_version: Option<String>,
}

/// The target as it was last written.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Name of the Secret.
    pub name: String,
    /// Counts the token sets: 1 for the first, one more with each renewal.
    pub revision: i64,
}
