//! Turns the words of the custom resource and the bytes of the source into types that can't be wrong.
//! The only place where CRD words become OAuth words.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use url::Url;

use crate::api::Reason;
use crate::api::credential::OAuthCredentialSpec;
use crate::api::grant::Grant;
use crate::api::provider::{ClientAuthenticationMethod, Encoding};
use crate::api::renewal::RenewalSpec;
use crate::api::target::TargetSpec;
use crate::oauth::address::{AddressPolicy, check_url};
use crate::oauth::client_auth::{ClientAuth, fingerprint};
use crate::oauth::request::{BodyEncoding, GrantInput, TokenCall, TokenRequest, build};
use crate::oauth::secret::{ClientSecret, RefreshToken, is_token};

use super::problem::Problem;
use super::schedule::{RenewBefore, RenewalPolicy};

/// Which grant; its input comes from the source or the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// Spends a refresh token and keeps a state Secret.
    RefreshToken,
    /// Spends nothing and keeps no state.
    ClientCredentials,
}

/// A spec that can be acted on.
#[derive(Clone, Debug)]
pub struct Resolved<'a> {
    /// The token endpoint, allowed by the policy as far as its URL tells.
    pub endpoint: Url,
    /// As given; the default depends on the source.
    pub method: Option<ClientAuthenticationMethod>,
    /// How the body is written.
    pub encoding: BodyEncoding,
    /// Which grant.
    pub grant: GrantKind,
    /// The scopes to ask for.
    pub scopes: &'a [String],
    /// Name and keys of the source.
    pub source: Source<'a>,
    /// The target as the user wants it.
    pub target: &'a TargetSpec,
    /// When to renew.
    pub renewal: RenewalPolicy,
    /// For responses without a usable lifetime.
    pub default_lifetime: Option<Duration>,
    /// For how long the server accepts a refresh token that it has replaced; nothing when nobody knows.
    pub reuse_grace: Option<Duration>,
    /// Where refresh tokens are revoked.
    pub revocation_endpoint: Option<Url>,
    /// A digest of all that makes a token request but the source's content: another one asks for a new token.
    pub request_digest: String,
}

/// Name and keys of the source.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Name of the Secret.
    pub name: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    /// Whether the user named the client secret's key, so that its absence is a mistake.
    client_secret_named: bool,
    /// Key of the refresh token.
    pub refresh_token: &'a str,
    /// Whether rotated refresh tokens are written into that key.
    pub write_back: bool,
}

/// What the source holds.
#[derive(Clone, Debug)]
pub struct SourceContent {
    /// The client.
    pub client: ClientAuth,
    /// The seed refresh token; present exactly for the grant that spends one.
    pub seed: Option<RefreshToken>,
}

/// Reads the spec.
///
/// # Errors
/// The reason and the field at fault.
pub fn spec(spec: &OAuthCredentialSpec, policy: AddressPolicy) -> Result<Resolved<'_>, Problem> {
    let provider = &spec.provider;
    let endpoint = Url::parse(&provider.token_endpoint).map_err(|error| {
        Problem::new(Reason::SpecInvalid, format!("spec.provider.tokenEndpoint is no URL: {error}"))
    })?;
    check_url(&endpoint, policy).map_err(|why| Problem::new(Reason::EndpointDenied, why))?;
    let revocation_endpoint = provider.revocation_endpoint.as_deref().map(Url::parse);
    let revocation_endpoint = revocation_endpoint.transpose().map_err(|error| {
        let message = format!("spec.provider.revocationEndpoint is no URL: {error}");
        Problem::new(Reason::SpecInvalid, message)
    })?;
    // A refresh token is sent there: a rule of the CRD for this would cost more than the API server allows.
    if revocation_endpoint
        .as_ref()
        .is_some_and(|revocation| revocation.origin() != endpoint.origin())
    {
        let message =
            "spec.provider.revocationEndpoint must have the scheme, host and port of tokenEndpoint";
        return Err(Problem::new(Reason::SpecInvalid, message.to_owned()));
    }
    let method = provider.client_authentication.as_ref().map(|auth| auth.method);
    let encoding =
        match provider.request.as_ref().map(|request| request.encoding).unwrap_or_default() {
            Encoding::Form => BodyEncoding::Form,
            Encoding::Json => BodyEncoding::Json,
        };
    let grant = match spec.grant {
        None | Some(Grant::RefreshToken(_)) => GrantKind::RefreshToken,
        Some(Grant::ClientCredentials(_)) => GrantKind::ClientCredentials,
    };
    let source = source(spec);
    let renewal = renewal(spec.renewal.as_ref())?;
    let default_lifetime = provider.default_lifetime.map(Duration::from);
    let settings = format!("{method:?} {encoding:?} {grant:?} {default_lifetime:?}");
    let mut digested = vec![endpoint.as_str(), settings.as_str()];
    digested.extend([source.name, source.client_id, source.client_secret, source.refresh_token]);
    digested.extend(spec.scopes.iter().map(String::as_str));
    let request_digest = fingerprint(b"request", &digested);
    Ok(Resolved {
        endpoint,
        method,
        encoding,
        grant,
        scopes: &spec.scopes,
        source,
        target: &spec.target,
        renewal,
        default_lifetime,
        reuse_grace: provider.reuse_grace.map(Duration::from),
        revocation_endpoint,
        request_digest,
    })
}

fn source(spec: &OAuthCredentialSpec) -> Source<'_> {
    let keys = spec.source.keys.as_ref();
    Source {
        name: &spec.source.name,
        client_id: keys.and_then(|keys| keys.client_id.as_deref()).unwrap_or("client_id"),
        client_secret: keys
            .and_then(|keys| keys.client_secret.as_deref())
            .unwrap_or("client_secret"),
        client_secret_named: keys.is_some_and(|keys| keys.client_secret.is_some()),
        refresh_token: keys
            .and_then(|keys| keys.refresh_token.as_deref())
            .unwrap_or("refresh_token"),
        write_back: spec.source.write_back,
    }
}

fn renewal(spec: Option<&RenewalSpec>) -> Result<RenewalPolicy, Problem> {
    let Some(spec) = spec else {
        return Ok(RenewalPolicy::default());
    };
    let renew_before = spec.renew_before.as_deref().map(|text| {
        RenewBefore::parse(text).ok_or_else(|| {
            Problem::new(
                Reason::SpecInvalid,
                "spec.renewal.renewBefore is neither a duration nor a percentage".to_owned(),
            )
        })
    });
    Ok(RenewalPolicy {
        renew_before: renew_before.transpose()?,
        jitter: spec.jitter.map(Duration::from),
        min_interval: spec
            .min_interval
            .map_or_else(|| RenewalPolicy::default().min_interval, Duration::from),
    })
}

impl Resolved<'_> {
    /// Scheme, host and port of the token endpoint: whom refresh tokens are sent to.
    pub fn origin(&self) -> String {
        self.endpoint.origin().ascii_serialization()
    }

    /// Writes the token request.
    pub fn request(&self, client: &ClientAuth, grant: &GrantInput) -> TokenRequest {
        build(&TokenCall {
            endpoint: &self.endpoint,
            client,
            grant,
            scopes: self.scopes,
            encoding: self.encoding,
        })
    }

    /// Reads the source's bytes.
    ///
    /// # Errors
    /// `SourceInvalid` with the key at fault.
    pub fn read_source(
        &self,
        data: &BTreeMap<String, ByteString>,
    ) -> Result<SourceContent, Problem> {
        let content = Content { name: self.source.name, data };
        let client = self.client(&content)?;
        let seed = match self.grant {
            GrantKind::ClientCredentials => None,
            GrantKind::RefreshToken => {
                let text = content.required(self.source.refresh_token)?;
                if !is_token(text) {
                    return Err(content.problem(
                        self.source.refresh_token,
                        "is no token: it may hold printable ASCII only",
                    ));
                }
                Some(RefreshToken::new(text))
            }
        };
        Ok(SourceContent { client, seed })
    }

    /// Reads the client alone.
    ///
    /// # Errors
    /// `SourceInvalid` with the key at fault.
    pub fn client_of(&self, data: &BTreeMap<String, ByteString>) -> Result<ClientAuth, Problem> {
        self.client(&Content { name: self.source.name, data })
    }

    fn client(&self, content: &Content<'_>) -> Result<ClientAuth, Problem> {
        let source = &self.source;
        let has_secret =
            content.data.contains_key(source.client_secret) || source.client_secret_named;
        let implied = match self.grant {
            GrantKind::RefreshToken if !has_secret => ClientAuthenticationMethod::None,
            _ => ClientAuthenticationMethod::ClientSecretPost,
        };
        let method = self.method.unwrap_or(implied);
        if method == ClientAuthenticationMethod::None {
            let client_id = content.optional(source.client_id)?;
            return Ok(ClientAuth::None { client_id: client_id.map(ToOwned::to_owned) });
        }
        let client_id = content.required(source.client_id)?.to_owned();
        let client_secret = ClientSecret::new(content.required(source.client_secret)?);
        Ok(match method {
            ClientAuthenticationMethod::ClientSecretBasic => {
                ClientAuth::Basic { client_id, client_secret }
            }
            _ => ClientAuth::Post { client_id, client_secret },
        })
    }
}

/// The source's data, read with messages that name the key.
struct Content<'a> {
    name: &'a str,
    data: &'a BTreeMap<String, ByteString>,
}

impl<'a> Content<'a> {
    fn required(&self, key: &str) -> Result<&'a str, Problem> {
        self.optional(key)?.ok_or_else(|| self.problem(key, "is missing"))
    }

    /// The text without line ends, which editors and `base64` pipelines leave behind.
    fn optional(&self, key: &str) -> Result<Option<&'a str>, Problem> {
        let Some(bytes) = self.data.get(key) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes.0)
            .map_err(|_| self.problem(key, "is no text (not UTF-8)"))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(self.problem(key, "is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(self.problem(key, "holds control characters"));
        }
        Ok(Some(text))
    }

    fn problem(&self, key: &str, what: &str) -> Problem {
        Problem::new(
            Reason::SourceInvalid,
            format!("key {key} of the source Secret {} {what}", self.name),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(value: serde_json::Value) -> OAuthCredentialSpec {
        serde_json::from_value(value).unwrap()
    }

    fn minimal() -> OAuthCredentialSpec {
        parsed(
            json!({"provider": {"tokenEndpoint": "https://as.example/t"}, "source": {"name": "s"}, "target": {"name": "t"}}),
        )
    }

    fn data(pairs: &[(&str, &[u8])]) -> BTreeMap<String, ByteString> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect()
    }

    #[test]
    fn the_client_secret_decides_between_post_and_none() {
        let spec_ = minimal();
        let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
        let with = resolved.read_source(&data(&[
            ("client_id", b"i"),
            ("client_secret", b"s\n"),
            ("refresh_token", b"r"),
        ]));
        assert!(
            matches!(with.unwrap().client, ClientAuth::Post { client_secret, .. } if client_secret.expose() == "s")
        );
        let without = resolved.read_source(&data(&[("refresh_token", b"r")])).unwrap();
        assert!(matches!(without.client, ClientAuth::None { client_id: None }));
    }

    type Case = (&'static [(&'static str, &'static [u8])], &'static str);

    #[test]
    fn bad_keys_are_named() {
        let spec_ = minimal();
        let resolved = spec(&spec_, AddressPolicy::default()).unwrap();
        let cases: [Case; 5] = [
            (&[("client_id", b"i")], "key refresh_token of the source Secret s is missing"),
            (
                &[("client_secret", b"s"), ("refresh_token", b"r")],
                "key client_id of the source Secret s is missing",
            ),
            (
                &[("refresh_token", b"\xff\xfe")],
                "key refresh_token of the source Secret s is no text (not UTF-8)",
            ),
            (&[("refresh_token", b"\n")], "key refresh_token of the source Secret s is empty"),
            (
                &[("refresh_token", b"a\x00b")],
                "key refresh_token of the source Secret s holds control characters",
            ),
        ];
        for (pairs, message) in cases {
            let problem = resolved.read_source(&data(pairs)).unwrap_err();
            assert_eq!(
                (problem.reason, problem.message.as_str()),
                (Reason::SourceInvalid, message)
            );
        }
    }

    #[test]
    fn a_digest_changes_with_each_setting_of_the_request_only() {
        let digest = |change: serde_json::Value| {
            let mut base = json!({"provider": {"tokenEndpoint": "https://as.example/t"}, "source": {"name": "s"}, "target": {"name": "t"}});
            for (key, value) in change.as_object().unwrap() {
                base[key] = value.clone();
            }
            spec(&parsed(base), AddressPolicy::default()).unwrap().request_digest
        };
        let base = digest(json!({}));
        for change in [
            json!({"provider": {"tokenEndpoint": "https://as.example/u"}}),
            json!({"provider": {"tokenEndpoint": "https://as.example/t", "clientAuthentication": {"method": "ClientSecretBasic"}}}),
            json!({"provider": {"tokenEndpoint": "https://as.example/t", "request": {"encoding": "Json"}}}),
            json!({"grant": {"clientCredentials": {}}}),
            json!({"scopes": ["a"]}),
            json!({"source": {"name": "s", "keys": {"clientId": "x"}}}),
        ] {
            assert_ne!(digest(change.clone()), base, "{change}");
        }
        for change in [
            json!({"target": {"name": "u", "labels": {"a": "b"}}}),
            json!({"renewal": {"renewBefore": "5m"}}),
            json!({"suspend": true}),
        ] {
            assert_eq!(digest(change.clone()), base, "{change}");
        }
    }

    #[test]
    fn denied_endpoints_are_a_configuration_problem() {
        let mut spec_ = minimal();
        spec_.provider.token_endpoint = "http://as.example/t".into();
        assert_eq!(
            spec(&spec_, AddressPolicy::default()).unwrap_err().reason,
            Reason::EndpointDenied
        );
    }
}
