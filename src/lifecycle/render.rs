//! What the target Secret shall hold.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::DeletionPolicy;
use crate::api::target::TargetSpec;
use crate::oauth::cookie_session::{COOKIE_KEY, is_cookie_value};
use crate::oauth::response::TokenSet;
use crate::oauth::secret::{AccessToken, KeptText};

use super::ownership::Fields;
use super::record::{CREDENTIAL, Record, StateRecord};

/// The label that tells who manages a Secret.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "oauth-keeper");

/// An access token on its way into a target.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The token, for `access_token`.
    pub access_token: AccessToken,
    /// Its type, for `token_type`.
    pub token_type: String,
    /// Its expiry, for `expires_at`.
    pub expires_at: Option<Timestamp>,
    /// What else of the response goes into the target, by its key.
    pub fields: BTreeMap<String, KeptText>,
}

impl Tokens {
    /// From a token response.
    pub fn from_set(set: &TokenSet, expires_at: Option<Timestamp>) -> Self {
        Self {
            access_token: set.access_token.clone(),
            token_type: set.token_type.clone(),
            expires_at,
            fields: set.fields.clone(),
        }
    }

    /// From the state.
    pub fn from_state(record: &StateRecord) -> Self {
        Self {
            access_token: record.access_token.clone(),
            token_type: record.token_type.clone(),
            expires_at: record.expires_at,
            fields: record.fields.clone(),
        }
    }
}

/// Keys, labels and annotations of a Secret as they shall be; `None` removes an annotation.
pub struct Rendered {
    /// Data by key.
    pub data: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, Option<String>>,
}

/// Keys that every target has.
const KEYS: [&str; 4] = ["access_token", "token_type", "expires_at", "authorization"];

/// Writes the target.
pub fn target(credential: &str, spec: &TargetSpec, tokens: &Tokens, record: &Record) -> Rendered {
    let access_token = tokens.access_token.expose();
    let values = [
        access_token.to_owned(),
        tokens.token_type.clone(),
        tokens.expires_at.map(|time| time.to_string()).unwrap_or_default(),
        format!("{} {access_token}", scheme(&tokens.token_type)),
    ];
    let kept = tokens.fields.iter();
    let mut data: BTreeMap<_, _> =
        kept.map(|(key, text)| (key.clone(), text.expose().to_owned())).collect();
    data.extend(KEYS.map(ToOwned::to_owned).into_iter().zip(values));
    data.extend(spec.cookie_name.as_deref().map(|name| {
        (COOKIE_KEY.to_owned(), cookie(name, &tokens.access_token).unwrap_or_default())
    }));
    Rendered { data, labels: labels(spec), annotations: annotations(credential, spec, record) }
}

/// The value of a `Cookie` header; none for a token that can't stand in one.
fn cookie(name: &str, token: &AccessToken) -> Option<String> {
    is_cookie_value(token.expose()).then(|| format!("{name}={}", token.expose()))
}

/// Whether the token is left out of the cookie that the user asks for.
pub fn lacks_the_cookie(spec: &TargetSpec, token: &AccessToken) -> bool {
    spec.cookie_name.as_deref().is_some_and(|name| cookie(name, token).is_none())
}

/// The scheme for an `Authorization` header. A token exchange may bring what is meant for no header (RFC 8693 §2.2.1); who
/// sends it in one all the same uses the common one.
fn scheme(token_type: &str) -> &str {
    if token_type == "N_A" { "Bearer" } else { token_type }
}

/// The fields that a target in order has from us; what `target` writes, without the tokens.
pub fn target_fields(credential: &str, spec: &TargetSpec, record: &Record) -> Fields {
    let kept = record.fields.iter().map(String::as_str);
    let cookie = spec.cookie_name.as_ref().map(|_| COOKIE_KEY);
    let data = KEYS.into_iter().chain(cookie).chain(kept).map(|key| format!("data/{key}"));
    let labels = labels(spec).into_keys().map(|key| format!("label/{key}"));
    let annotations = annotations(credential, spec, record).into_iter();
    let annotations =
        annotations.filter_map(|(key, value)| value.map(|_| format!("annotation/{key}")));
    data.chain(labels).chain(annotations).collect()
}

/// A number that changes with the labels, annotations, cookie and owner that the user asks for.
pub fn template_digest(spec: &TargetSpec) -> String {
    let pairs = spec
        .labels
        .iter()
        .map(|pair| ("l", pair))
        .chain(spec.annotations.iter().map(|pair| ("a", pair)));
    let mut texts: Vec<&str> =
        pairs.flat_map(|(kind, (key, value))| [kind, key.as_str(), value.as_str()]).collect();
    if spec.deletion_policy == DeletionPolicy::Retain {
        texts.push("retain");
    }
    texts.extend(spec.cookie_name.iter().flat_map(|name| ["cookie", name.as_str()]));
    crate::oauth::fingerprint::fingerprint(b"template", &texts)
}

/// Annotation with the [`template_digest`] a target was written with.
pub const TEMPLATE: &str = "oauth-keeper.dev/template";

fn labels(spec: &TargetSpec) -> BTreeMap<String, String> {
    let mut labels = spec.labels.clone();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels
}

fn annotations(
    credential: &str,
    spec: &TargetSpec,
    record: &Record,
) -> BTreeMap<String, Option<String>> {
    let mut annotations = record.to_annotations();
    annotations.insert(CREDENTIAL.to_owned(), Some(credential.to_owned()));
    annotations.insert(TEMPLATE.to_owned(), Some(template_digest(spec)));
    annotations
        .extend(spec.annotations.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            revision: 1,
            issued_at: Timestamp::UNIX_EPOCH,
            expires_at: Some(Timestamp::UNIX_EPOCH),
            request: "q".into(),
            source_version: "1".into(),
            scopes: vec![],
            lineage: None,
            rotations: 0,
            rotated_at: None,
            refresh_life: None,
            fields: vec!["instance_url".into()],
        }
    }

    #[test]
    fn a_target_can_be_used_as_a_header() {
        let spec = TargetSpec {
            name: "t".into(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            cookie_name: Some("session".into()),
            deletion_policy: DeletionPolicy::Delete,
        };
        let mut tokens = Tokens {
            access_token: AccessToken::new("abc"),
            token_type: "Bearer".into(),
            expires_at: Some(Timestamp::UNIX_EPOCH),
            fields: BTreeMap::from([("instance_url".into(), KeptText::new("https://a.example"))]),
        };
        let rendered = target("c", &spec, &tokens, &record());
        assert_eq!(rendered.data.get("authorization").map(String::as_str), Some("Bearer abc"));
        assert_eq!(
            rendered.data.get("expires_at").map(String::as_str),
            Some("1970-01-01T00:00:00Z")
        );
        assert_eq!(rendered.data.get("cookie").map(String::as_str), Some("session=abc"));
        assert!(!lacks_the_cookie(&spec, &tokens.access_token));
        // Another cookie would begin there.
        tokens.access_token = AccessToken::new("a;b=c");
        let rendered = target("c", &spec, &tokens, &record());
        assert_eq!(rendered.data.get("cookie").map(String::as_str), Some(""));
        assert!(lacks_the_cookie(&spec, &tokens.access_token));
    }

    #[test]
    fn the_expected_fields_are_those_that_are_written() {
        let spec = TargetSpec {
            name: "t".into(),
            labels: BTreeMap::from([("team".into(), "a".into())]),
            annotations: BTreeMap::from([("note".into(), "b".into())]),
            cookie_name: Some("session".into()),
            deletion_policy: DeletionPolicy::Delete,
        };
        let tokens = Tokens {
            access_token: AccessToken::new("abc"),
            token_type: "Bearer".into(),
            expires_at: None,
            fields: BTreeMap::from([("instance_url".into(), KeptText::new("https://a.example"))]),
        };
        let rendered = target("c", &spec, &tokens, &record());
        let mut written: Fields = rendered.data.keys().map(|key| format!("data/{key}")).collect();
        written.extend(rendered.labels.keys().map(|key| format!("label/{key}")));
        written.extend(
            rendered
                .annotations
                .iter()
                .filter(|(_, value)| value.is_some())
                .map(|(key, _)| format!("annotation/{key}")),
        );
        assert_eq!(target_fields("c", &spec, &record()), written);
    }
}
