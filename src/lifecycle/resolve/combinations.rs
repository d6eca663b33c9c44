//! What of a credential does not go together with its provider. Where the provider stands in the credential the CRD refuses
//! most of it; one that is named can suit another credential only.

use crate::api::Reason;
use crate::api::credential::OAuthCredentialSpec;
use crate::api::grant::{AssertionPlace, Grant, JwtBearerGrant};
use crate::api::provider::{
    ClientAuthentication, ClientAuthenticationMethod, ProviderSpec, ResponseSpec,
};
use crate::api::signing::SigningAlgorithm;
use crate::lifecycle::problem::Problem;
use crate::oauth::cookie_session::COOKIE_KEY;
use crate::oauth::request::RequestStyle;

use super::{GrantKind, claims};

/// Looks for it. `shown` is how the client proves who it is, where it does.
///
/// # Errors
/// `SpecInvalid` with the fields at fault.
pub(super) fn check(
    spec: &OAuthCredentialSpec,
    shown: Option<&ClientAuthentication>,
    provider: &ProviderSpec,
) -> Result<(), Problem> {
    let grant = GrantKind::of(spec);
    let method = shown.map(|authentication| authentication.method);
    if grant == GrantKind::ClientCredentials && method == Some(ClientAuthenticationMethod::None) {
        return Err(invalid(
            "grant clientCredentials needs a client secret: clientAuthentication.method of its provider can't be None",
        ));
    }
    if bearer(spec).is_some_and(|bearer| bearer.assertion_in == AssertionPlace::AuthorizationHeader)
        && method == Some(ClientAuthenticationMethod::ClientSecretBasic)
    {
        return Err(invalid(
            "spec.grant.jwtBearer.assertionIn AuthorizationHeader takes the header that client authentication ClientSecretBasic uses, which the provider says; change one of them",
        ));
    }
    check_cookie(spec, provider.response.as_deref())?;
    check_secrets(spec, method)?;
    check_keys(spec, method)?;
    if let Some(bearer) = bearer(spec) {
        claims::check(&bearer.claims)?;
    }
    let grant_type_is_omitted = provider.request.as_ref().is_some_and(|request| {
        request.grant_type.is_some()
            && request.omit_parameters.iter().any(|one| <&str>::from(one) == "grant_type")
    });
    if grant_type_is_omitted {
        return Err(invalid(
            "spec.provider.request.grantType is not sent, since omitParameters leaves grant_type out; remove one of them",
        ));
    }
    Ok(())
}

/// The key `cookie` of the target holds one thing.
fn check_cookie(
    spec: &OAuthCredentialSpec,
    response: Option<&ResponseSpec>,
) -> Result<(), Problem> {
    let is_taken = response.is_some_and(|response| response.fields.contains_key(COOKIE_KEY));
    if is_taken && spec.target.cookie_name.is_some() {
        return Err(invalid(
            "spec.target.cookieName writes the key cookie, which spec.provider.response.fields has too; remove one of them",
        ));
    }
    Ok(())
}

fn bearer(spec: &OAuthCredentialSpec) -> Option<&JwtBearerGrant> {
    match spec.grant.as_deref() {
        Some(Grant::JwtBearer(bearer)) => Some(bearer),
        _ => None,
    }
}

/// Whether the client secret signs the token that is the grant.
fn secret_signs(spec: &OAuthCredentialSpec) -> bool {
    bearer(spec).and_then(|bearer| bearer.algorithm).is_some_and(SigningAlgorithm::takes_the_secret)
}

/// A key that the user names and nobody reads is a mistake.
fn check_secrets(
    spec: &OAuthCredentialSpec,
    method: Option<ClientAuthenticationMethod>,
) -> Result<(), Problem> {
    let Some(keys) = &spec.source.keys else { return Ok(()) };
    let unused = match method {
        None
        | Some(
            ClientAuthenticationMethod::ClientSecretBasic
            | ClientAuthenticationMethod::ClientSecretPost
            | ClientAuthenticationMethod::ClientSecretJwt,
        ) => return Ok(()),
        Some(ClientAuthenticationMethod::None) => "None",
        Some(ClientAuthenticationMethod::TlsClientAuth) => "TlsClientAuth",
        Some(ClientAuthenticationMethod::PrivateKeyJwt) => "PrivateKeyJwt",
    };
    for (field, key) in
        [("clientSecret", &keys.client_secret), ("nextClientSecret", &keys.next_client_secret)]
    {
        if key.is_some() && !(field == "clientSecret" && secret_signs(spec)) {
            return Err(invalid(&format!(
                "spec.source.keys.{field} is not used with client authentication {unused}, which the provider says; remove one of them"
            )));
        }
    }
    Ok(())
}

/// The same of keys that the grant or the provider would use.
fn check_keys(
    spec: &OAuthCredentialSpec,
    method: Option<ClientAuthenticationMethod>,
) -> Result<(), Problem> {
    let Some(keys) = &spec.source.keys else { return Ok(()) };
    let is_bearer = bearer(spec).is_some();
    let signs = is_bearer && !secret_signs(spec)
        || method == Some(ClientAuthenticationMethod::PrivateKeyJwt);
    if keys.private_key.is_some() && !signs {
        return Err(invalid(
            "spec.source.keys.privateKey is used by client authentication PrivateKeyJwt and by grant jwtBearer with an algorithm of a private key alone; remove it",
        ));
    }
    let client_secret = keys.client_secret.as_ref().filter(|_| !secret_signs(spec));
    let named =
        [("clientSecret", client_secret), ("nextClientSecret", keys.next_client_secret.as_ref())];
    let named = named.iter().find(|(_, key)| key.is_some());
    if let Some((field, _)) = named.filter(|_| is_bearer && method.is_none()) {
        return Err(invalid(&format!(
            "spec.source.keys.{field} is not used by grant jwtBearer where the provider says no clientAuthentication; remove it"
        )));
    }
    Ok(())
}

/// Looks for two members of a request that would have one name.
///
/// # Errors
/// `SpecInvalid` with the name.
pub(super) fn check_names(spec: &OAuthCredentialSpec, style: &RequestStyle) -> Result<(), Problem> {
    let grant: &[&str] = match GrantKind::of(spec) {
        GrantKind::CookieSession => return Ok(()),
        GrantKind::RefreshToken => &["refresh_token"],
        GrantKind::ClientCredentials => &[],
        GrantKind::JwtBearer => &["assertion"],
        GrantKind::Password => &["username", "password"],
        GrantKind::TokenExchange => &[
            "subject_token",
            "subject_token_type",
            "requested_token_type",
            "actor_token",
            "actor_token_type",
        ],
    };
    let always =
        ["grant_type", "client_id", "client_secret", "client_assertion_type", "client_assertion"];
    let wanted = [
        ("scope", !spec.scopes.is_empty()),
        ("audience", spec.audience.is_some()),
        ("resource", !spec.resources.is_empty()),
    ];
    let wanted = wanted.iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| *name);
    let sent = always.iter().chain(grant).copied().chain(wanted);
    let mut names: Vec<&str> = Vec::new();
    for standard in sent.filter(|standard| !style.omits(standard)) {
        let name = style.name(standard);
        if names.contains(&name) {
            return Err(invalid(&format!(
                "spec.provider.request.parameterNames gives two members of the request the name {name}"
            )));
        }
        if style.parameters.contains_key(name) {
            let is_own = spec.parameters.contains_key(name);
            let whose = if is_own { "spec" } else { "spec.provider.request" };
            return Err(invalid(&format!(
                "{whose}.parameters has {name}, which is sent for {standard} already; remove one of them"
            )));
        }
        names.push(name);
    }
    Ok(())
}

fn invalid(message: &str) -> Problem {
    Problem::new(Reason::SpecInvalid, message.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::credential::OAuthCredentialSpec;
    use crate::lifecycle::provider::Provider;
    use crate::oauth::address::AddressPolicy;

    /// What is said of a provider in an object of its own.
    fn said(provider: &Value, credential: &Value) -> Option<String> {
        let mut given = json!({"provider": {}, "source": {"name": "s"}, "target": {"name": "t"}});
        given.as_object_mut().unwrap().extend(credential.as_object().unwrap().clone());
        let credential: OAuthCredentialSpec = serde_json::from_value(given).unwrap();
        let mut spec = json!({"tokenEndpoint": "https://as.example/t"});
        spec.as_object_mut().unwrap().extend(provider.as_object().unwrap().clone());
        let provider = Provider::of_object(serde_json::from_value(spec).unwrap());
        let resolved = super::super::spec(&credential, &provider, AddressPolicy::default());
        resolved.err().map(|problem| problem.message)
    }

    fn with(one: &Value, more: &Value) -> Value {
        let mut all = one.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    }

    fn method(method: &str) -> Value {
        json!({"clientAuthentication": {"method": method}})
    }

    fn assert_refused(cases: &[(Value, Value, &str)]) {
        for (provider, credential, words) in cases {
            let said = said(provider, credential).unwrap_or_default();
            assert!(said.contains(words), "{provider}: {said}");
        }
    }

    #[test]
    fn a_key_of_the_source_that_nobody_reads_is_named() {
        let keys = |key: &str| json!({"source": {"name": "s", "keys": {key: "k"}}});
        let bearer = |key: &str| with(&keys(key), &json!({"grant": {"jwtBearer": {}}}));
        let by_secret =
            |key: &str| with(&keys(key), &json!({"grant": {"jwtBearer": {"algorithm": "HS256"}}}));
        let session = |key: &str| {
            let grant = json!({"grant": {"cookieSession": {"url": "https://as.example/me"}}});
            with(&keys(key), &grant)
        };
        let mut named = method("PrivateKeyJwt");
        named["clientAuthentication"]["certificateThumbprint"] = json!(true);
        assert_refused(&[
            (method("None"), keys("clientSecret"), "keys.clientSecret is not used"),
            (
                method("PrivateKeyJwt"),
                keys("nextClientSecret"),
                "keys.nextClientSecret is not used",
            ),
            (method("TlsClientAuth"), keys("clientSecret"), "keys.clientSecret is not used"),
            (method("ClientSecretJwt"), keys("privateKey"), "keys.privateKey is used by"),
            (json!({}), keys("privateKey"), "keys.privateKey is used by"),
            (json!({}), bearer("clientSecret"), "keys.clientSecret is not used by grant jwtBearer"),
            (json!({}), bearer("nextClientSecret"), "keys.nextClientSecret is not used by grant"),
            (json!({}), by_secret("privateKey"), "keys.privateKey is used by"),
            (json!({}), by_secret("nextClientSecret"), "keys.nextClientSecret is not used by"),
            (
                method("None"),
                by_secret("nextClientSecret"),
                "not used with client authentication None",
            ),
            (json!({}), keys("tlsCertificate"), "tlsCertificate is used by"),
            (method("PrivateKeyJwt"), session("privateKey"), "keys.privateKey is used by"),
            (method("TlsClientAuth"), session("tlsKey"), "tlsKey is used by"),
            (named, keys("tlsKey"), "tlsKey is used by client authentication TlsClientAuth"),
        ]);
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let names = |names| json!({"request": {"parameterNames": names}});
        assert_refused(&[
            (method("None"), json!({"grant": {"clientCredentials": {}}}), "needs a client secret"),
            (
                method("ClientSecretBasic"),
                json!({"grant": {"jwtBearer": {"assertionIn": "AuthorizationHeader"}}}),
                "assertionIn AuthorizationHeader takes the header that",
            ),
            (
                json!({}),
                json!({"grant": {"jwtBearer": {"claims": {"iss": 7}}}}),
                "spec.grant.jwtBearer.claims must not set iss",
            ),
            (names(json!({"client_id": "a", "client_secret": "a"})), json!({}), "the name a"),
            (names(json!({"client_id": "client_secret"})), json!({}), "the name client_secret"),
            (
                names(json!({"client_id": "subject_token_type"})),
                json!({"grant": {"tokenExchange": {"subjectToken": {"secretKey": {}}}}}),
                "the name subject_token_type",
            ),
            (
                names(json!({"client_id": "key"})),
                json!({"parameters": {"key": "x"}}),
                "spec.parameters has key, which is sent for client_id",
            ),
            (
                json!({"request": {"parameters": {"audience": "a"}}}),
                json!({"audience": "b"}),
                "spec.provider.request.parameters has audience",
            ),
            (
                json!({"request": {"grantType": "g", "omitParameters": ["grant_type"]}}),
                json!({}),
                "grantType is not sent",
            ),
            (
                json!({"response": {"fields": {"cookie": "/c"}}}),
                json!({"target": {"name": "t", "cookieName": "c"}}),
                "spec.target.cookieName writes the key cookie, which spec.provider.response.fields",
            ),
        ]);
    }

    #[test]
    fn what_goes_together_is_let_be() {
        let names = |names| json!({"request": {"parameterNames": names}});
        for (provider, credential) in [
            (names(json!({"client_id": "client_secret", "client_secret": "client_id"})), json!({})),
            (names(json!({"refresh_token": "assertion"})), json!({})),
            (json!({"request": {"parameters": {"audience": "a"}}}), json!({})),
            (
                json!({"request": {"parameterNames": {"client_id": "client_secret"}, "omitParameters": ["client_secret"]}}),
                json!({}),
            ),
            (
                json!({"clientAuthentication": {"method": "ClientSecretJwt"}}),
                json!({"source": {"name": "s", "keys": {"nextClientSecret": "k"}}}),
            ),
            (
                json!({"clientAuthentication": {"method": "ClientSecretPost"}}),
                json!({
                    "source": {"name": "s", "keys": {"nextClientSecret": "k", "privateKey": "p"}},
                    "grant": {"jwtBearer": {}},
                }),
            ),
            (
                json!({"clientAuthentication": {"method": "PrivateKeyJwt"}}),
                json!({"source": {"name": "s", "keys": {"privateKey": "k"}}}),
            ),
            (
                json!({"clientAuthentication": {"method": "None"}}),
                json!({
                    "source": {"name": "s", "keys": {"clientSecret": "k"}},
                    "grant": {"jwtBearer": {"algorithm": "HS512", "assertionIn": "AuthorizationHeader"}},
                }),
            ),
            (
                json!({"clientAuthentication": {"method": "PrivateKeyJwt", "certificateThumbprint": true}}),
                json!({"source": {"name": "s", "keys": {"privateKey": "tls.key", "tlsCertificate": "c"}}}),
            ),
            // Whoever writes an object of the provider need not know its credentials: they are renewed as early as it allows.
            (json!({"earliestRenewal": "30s"}), json!({"renewal": {"renewBefore": "31s"}})),
            (json!({"earliestRenewal": "30s"}), json!({"renewal": {"renewBefore": "99%"}})),
        ] {
            assert_eq!(said(&provider, &credential), None, "{provider}");
        }
    }
}
