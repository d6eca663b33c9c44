//! The digest of all that makes a token request, and of what is made of its answer, but the source's content. It stands in
//! annotations: a later release must come to the same one, or every token is renewed at the upgrade. So it is made of
//! words that are written down here, and not of names in the code. What is added is left out while it is not used.

use std::time::Duration;

use serde_json::Value;

use crate::oauth::fingerprint::fingerprint;
use crate::oauth::jwt::Algorithm;
use crate::oauth::jwt_bearer::Place;
use crate::oauth::request::{Encoding, Method, RequestStyle};
use crate::oauth::response::{ResponseStyle, Unit};

use super::grant::{Account, ExchangeTerms, GivenFrom, GivenTerms};
use super::jwt::{Bearer, Signing, algorithm};
use super::{BasicEncoding, ClientAuthenticationMethod, GrantKind, Resolved};

/// Pairs of a name and a text.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn say(&mut self, name: &str, text: impl Into<String>) {
        self.0.extend([name.to_owned(), text.into()]);
    }

    fn say_if(&mut self, name: &str, text: Option<impl Into<String>>) {
        if let Some(text) = text {
            self.say(name, text);
        }
    }

    fn time(&mut self, name: &str, time: Option<Duration>) {
        self.say_if(name, time.map(|time| time.as_millis().to_string()));
    }

    fn pairs<'a>(&mut self, name: &str, pairs: impl IntoIterator<Item = (&'a String, &'a String)>) {
        for (key, value) in pairs {
            self.say(name, key);
            self.say("=", value);
        }
    }
}

/// The digest.
pub(super) fn digest(resolved: &Resolved<'_>) -> String {
    let mut words = Words::default();
    words.say("endpoint", resolved.endpoint.as_str());
    words.say("grant", grant(resolved.grant));
    words.say_if("method", resolved.method.map(method));
    words.say_if("basic", basic(resolved.basic_encoding));
    signing(&mut words, "client", &resolved.signing);
    words.say_if("client scopes in", resolved.signing.scopes_in_claim.then_some("claim"));
    request(&mut words, &resolved.request);
    response(&mut words, &resolved.response);
    words.time("default lifetime", resolved.default_lifetime);
    words.say_if("audience", resolved.wanted.audience);
    for resource in resolved.wanted.resources {
        words.say("resource", resource);
    }
    for scope in resolved.wanted.scopes {
        words.say("scope", scope);
    }
    bearer(&mut words, resolved.bearer.as_ref());
    exchange(&mut words, resolved.exchange.as_ref());
    source(&mut words, resolved);
    fingerprint(b"request", &words.0.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Where the source has what is sent. The next client secret is none of it: it is the same request with either.
fn source(words: &mut Words, resolved: &Resolved<'_>) {
    let source = &resolved.source;
    words.say("source", source.name);
    let keys = [
        source.client_id,
        source.client_secret,
        source.refresh_token,
        source.private_key,
        source.username,
        source.password,
    ];
    for key in keys {
        words.say("key", key);
    }
    if resolved.signing.thumbprint {
        words.say("certificate", source.tls.certificate);
    }
    if resolved.method == Some(ClientAuthenticationMethod::TlsClientAuth) {
        words.say("certificate", source.tls.certificate);
        words.say("certificate key", source.tls.key);
    }
}

fn request(words: &mut Words, style: &RequestStyle) {
    words.say(
        "http",
        match style.method {
            Method::Post => "post",
            Method::Get => "get",
        },
    );
    words.say(
        "encoding",
        match style.encoding {
            Encoding::Form => "form",
            Encoding::Json => "json",
            Encoding::Query => "query",
        },
    );
    let mut headers: Vec<_> = style.headers.iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in headers {
        words.say("header", name.as_str());
        words.say("=", String::from_utf8_lossy(value.as_bytes()));
    }
    words.pairs("parameter", &style.parameters);
    words.pairs("name", &style.names);
    for name in &style.omitted {
        words.say("omitted", name);
    }
    words.say_if("grant type", style.grant_type.as_deref());
    words.say("separator", &style.scope_separator);
}

fn response(words: &mut Words, style: &ResponseStyle) {
    words.say("access token", &style.access_token);
    words.say("refresh token", &style.refresh_token);
    words.say("token type", &style.token_type);
    words.say("granted", &style.scope);
    words.say("lifetime", &style.lifetime);
    words.say(
        "unit",
        match style.lifetime_unit {
            Unit::Seconds => "seconds",
            Unit::Milliseconds => "milliseconds",
        },
    );
    words.say_if("expiry", style.expiry.as_deref());
    words.say_if("refresh token lifetime", style.refresh_token_lifetime.as_deref());
    let counts =
        (style.refresh_token_lifetime_unit == Unit::Milliseconds).then_some("milliseconds");
    words.say_if("refresh token unit", counts);
    words.say_if("refresh token expiry", style.refresh_token_expiry.as_deref());
    // Not the error codes: of a token that is there they say nothing.
    words.pairs("field", &style.fields);
    if let Some(cookies) = &style.cookies {
        words.say("refresh cookie", &cookies.refresh);
        words.say("access cookie", &cookies.access);
    }
}

fn signing(words: &mut Words, whose: &str, signing: &Signing) {
    let said = signing.algorithm.map(|spec| name_of(algorithm(spec)));
    words.say_if(&format!("{whose} algorithm"), said);
    words.say_if(&format!("{whose} key id"), signing.key_id.as_deref());
    words.say_if(&format!("{whose} audience"), signing.audience.as_deref());
    words.say_if(&format!("{whose} certificate"), signing.thumbprint.then_some("thumbprint"));
}

fn bearer(words: &mut Words, bearer: Option<&Bearer<'_>>) {
    let Some(bearer) = bearer else { return };
    words.say_if("issuer", bearer.issuer);
    words.say_if("subject", bearer.subject);
    signing(words, "assertion", &bearer.signing);
    words.time("assertion lifetime", Some(bearer.lifetime));
    for (name, claim) in bearer.claims {
        let (word, text) = match claim {
            Value::String(text) => ("claim", text.clone()),
            other => ("claim in JSON", other.to_string()),
        };
        words.say(word, name);
        words.say("=", text);
    }
    words.say_if("scopes in", bearer.signing.scopes_in_claim.then_some("claim"));
    words.say_if("omitted claim", bearer.without_audience.then_some("aud"));
    words.say_if("assertion in", (bearer.place == Place::Header).then_some("header"));
}

fn exchange(words: &mut Words, terms: Option<&ExchangeTerms<'_>>) {
    let Some(terms) = terms else { return };
    given(words, "subject", &terms.subject);
    if let Some(actor) = &terms.actor {
        given(words, "actor", actor);
    }
    words.say_if("requested type", terms.requested_type);
}

fn given(words: &mut Words, whose: &str, terms: &GivenTerms<'_>) {
    words.say(whose, terms.token_type);
    match &terms.from {
        GivenFrom::Key(key) => words.say("from key", *key),
        GivenFrom::ServiceAccount(Account { name, audience, expiration }) => {
            words.say("from account", *name);
            words.say("for", *audience);
            words.time("account token lifetime", Some(*expiration));
        }
    }
}

fn grant(grant: GrantKind) -> &'static str {
    match grant {
        GrantKind::RefreshToken => "refresh token",
        GrantKind::ClientCredentials => "client credentials",
        GrantKind::JwtBearer => "jwt bearer",
        GrantKind::Password => "password",
        GrantKind::TokenExchange => "token exchange",
        GrantKind::CookieSession => "cookie session",
    }
}

fn method(method: ClientAuthenticationMethod) -> &'static str {
    match method {
        ClientAuthenticationMethod::None => "none",
        ClientAuthenticationMethod::ClientSecretBasic => "basic",
        ClientAuthenticationMethod::ClientSecretPost => "post",
        ClientAuthenticationMethod::TlsClientAuth => "tls",
        ClientAuthenticationMethod::ClientSecretJwt => "secret jwt",
        ClientAuthenticationMethod::PrivateKeyJwt => "key jwt",
    }
}

fn basic(encoding: BasicEncoding) -> Option<&'static str> {
    match encoding {
        BasicEncoding::Form => None,
        BasicEncoding::Plain => Some("plain"),
        BasicEncoding::SecretAlone => Some("secret alone"),
    }
}

/// As RFC 7518 has it.
fn name_of(algorithm: Algorithm) -> String {
    let name = serde_json::to_value(algorithm).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::credential::OAuthCredentialSpec;
    use crate::lifecycle::provider::Provider;
    use crate::oauth::address::AddressPolicy;

    fn digest(spec: &Value) -> String {
        let spec: OAuthCredentialSpec = serde_json::from_value(spec.clone()).unwrap();
        let provider = Provider::inline(&spec.provider.inline);
        super::super::spec(&spec, &provider, AddressPolicy::default()).unwrap().request_digest
    }

    fn smallest() -> Value {
        json!({
            "provider": {"tokenEndpoint": "https://as.example/t"},
            "source": {"name": "s"}, "target": {"name": "t"},
        })
    }

    /// Whoever changes these numbers has every token renewed at an upgrade.
    #[test]
    fn a_later_release_comes_to_the_same_digest() {
        assert_eq!(digest(&smallest()), "8f4ec78076d3d8f763c7f507c47dc408");
        let all = json!({
            "provider": {
                "tokenEndpoint": "https://as.example/t",
                "clientAuthentication": {
                    "method": "ClientSecretJwt", "algorithm": "HS512", "keyId": "k", "audience": "a",
                },
                "request": {
                    "encoding": "Json", "headers": {"X-A": "1"}, "parameters": {"p": "q"},
                    "parameterNames": {"client_id": "key"}, "omitParameters": ["scope"],
                    "grantType": "g", "scopeSeparator": ",",
                },
                "response": {
                    "accessToken": "/t", "refreshToken": "/r", "tokenType": "/y", "scope": "/s", "lifetime": "/l",
                    "lifetimeUnit": "Milliseconds", "expiry": "/e", "refreshTokenLifetime": "/rl",
                    "error": "/c", "errorCodes": {"1": "InvalidGrant"}, "fields": {"f": "/f"},
                },
                "defaultLifetime": "1h",
            },
            "grant": {"tokenExchange": {
                "subjectToken": {"serviceAccount": {"name": "n", "audience": "b"}},
                "actorToken": {"secretKey": {"key": "k"}}, "requestedTokenType": "urn:x",
            }},
            "source": {"name": "s", "keys": {"clientId": "id"}}, "target": {"name": "t"},
            "scopes": ["a", "b"], "audience": "c", "resources": ["urn:d"], "parameters": {"o": "p"},
        });
        assert_eq!(digest(&all), "31d1986bb5d371c0a346866dd5111f20");
    }

    #[test]
    fn what_an_assertion_says_and_where_it_stands_makes_another_request() {
        let of = |grant: Value| {
            let mut spec = smallest();
            spec["grant"] = json!({"jwtBearer": grant});
            digest(&spec)
        };
        let mut named = smallest();
        named["provider"]["clientAuthentication"] = json!({"method": "PrivateKeyJwt"});
        let mut all = vec![
            of(json!({})),
            of(json!({"omitClaims": ["aud"]})),
            of(json!({"assertionIn": "AuthorizationHeader"})),
            of(json!({"algorithm": "HS256"})),
            digest(&named),
        ];
        named["provider"]["clientAuthentication"]["scopesInClaim"] = json!(true);
        all.push(digest(&named));
        named["provider"]["clientAuthentication"]["certificateThumbprint"] = json!(true);
        all.push(digest(&named));
        named["source"]["keys"] = json!({"tlsCertificate": "c"});
        all.push(digest(&named));
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
    }
}
