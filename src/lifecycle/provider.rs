//! The provider of a credential: as it stands inline, or in the object that is named, with what its issuer publishes.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use url::{Host, Url};

use crate::api::Reason;
use crate::api::condition::READY;
use crate::api::provider::{
    ClientAuthenticationMethod, Namespaces, ProviderRef, ProviderSpec, ProviderStatus,
};
use crate::oauth::discovery::Metadata;
use crate::oauth::fingerprint::fingerprint;
use crate::oauth::tls::Roots;

use super::problem::Problem;
use super::schedule::to_second;

/// A provider that a credential uses.
#[derive(Clone, Debug)]
pub struct Provider<'a> {
    /// How to speak to it.
    pub spec: Spec<'a>,
    /// Another one with each change that is no change of the credential; none where there is no such change.
    pub version: Option<String>,
    /// Its own authorities, where they were read already.
    pub roots: Option<Roots>,
    /// The token endpoint that the issuer publishes for all, where requests go to an alias of it on the same host.
    pub own_endpoint: Option<Url>,
    /// What a credential calls it, where it is an object of its own.
    name: Option<String>,
}

/// How to speak to a provider, without a copy for each credential.
#[derive(Clone, Debug)]
pub enum Spec<'a> {
    /// As it stands in the credential.
    Inline(&'a ProviderSpec),
    /// As several have it.
    Shared(Arc<ProviderSpec>),
}

impl Deref for Spec<'_> {
    type Target = ProviderSpec;

    fn deref(&self) -> &ProviderSpec {
        match self {
            Self::Inline(spec) => spec,
            Self::Shared(spec) => spec,
        }
    }
}

impl<'a> Provider<'a> {
    /// One that stands in the credential.
    pub fn inline(spec: &'a ProviderSpec) -> Self {
        Self {
            spec: Spec::Inline(spec),
            version: None,
            roots: None,
            own_endpoint: None,
            name: None,
        }
    }

    /// One that stands in an object of its own.
    pub fn of_object(spec: ProviderSpec) -> Provider<'static> {
        let version = Some(version(&spec));
        let bundle = spec.tls.as_ref().and_then(|tls| tls.ca_bundle.as_deref());
        // What is wrong with them is said where they are used.
        let roots = bundle.and_then(|bundle| Roots::parse(bundle).ok());
        let spec = Spec::Shared(Arc::new(spec));
        Provider { spec, version, roots, own_endpoint: None, name: None }
    }

    /// With what the issuer publishes. Whether tokens are revoked is not for it to say: that ends a human's grant.
    ///
    /// # Errors
    /// `DiscoveryFailed`, where just what this provider needs of it can't be used.
    pub fn completed(self, metadata: &Metadata) -> Result<Self, Problem> {
        let mut spec = ProviderSpec::clone(&self.spec);
        let alias = metadata.mtls_token_endpoint.as_ref().filter(|_| shows_a_certificate(&spec));
        let endpoint = match alias {
            None => &metadata.token_endpoint,
            Some(Ok(alias)) => alias,
            Some(Err(why)) => {
                let issuer = spec.issuer.unwrap_or_default();
                let message = format!("the document of the issuer {issuer} {why}");
                return Err(Problem::new(Reason::DiscoveryFailed, message));
            }
        };
        spec.token_endpoint = Some(endpoint.to_string());
        let own = &metadata.token_endpoint;
        let own_endpoint = (endpoint != own && is_of_the_host(endpoint, own)).then(|| own.clone());
        let version = Some(version(&spec));
        Ok(Self { spec: Spec::Shared(Arc::new(spec)), version, own_endpoint, ..self })
    }

    /// As a credential names it.
    #[must_use]
    pub fn named(self, reference: &ProviderRef) -> Self {
        Self { name: Some(format!("{} {}", reference.kind, reference.name)), ..self }
    }

    /// A problem with an endpoint that nobody wrote into a spec names who published it.
    #[must_use]
    pub fn published(&self, problem: Problem) -> Problem {
        if self.spec.issuer.is_none() {
            return problem;
        }
        let published = "the token_endpoint that spec.provider.issuer publishes";
        let message = problem.message.replace("spec.provider.tokenEndpoint", published);
        Problem { message, ..problem }
    }

    /// A problem in words of where its fields stand.
    #[must_use]
    pub fn located(&self, problem: Problem) -> Problem {
        let problem = self.published(problem);
        let mut message = problem.message;
        if let Some(name) = self.name.as_ref().filter(|_| message.contains("spec.provider.")) {
            message = format!("{} (of the {name})", message.replace("spec.provider.", "spec."));
        }
        Problem { message, ..problem }
    }
}

/// Whether an alias is on the host of an endpoint, at whatever port, or on one below it. What is on another one may be
/// somebody else's, and is another endpoint.
fn is_of_the_host(alias: &Url, own: &Url) -> bool {
    let below = |own: &str, alias: &str| {
        alias.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    alias.scheme() == own.scheme()
        && match (own.host(), alias.host()) {
            (Some(Host::Domain(own)), Some(Host::Domain(alias))) => below(own, alias),
            (own, alias) => own == alias,
        }
}

/// Such clients may have an endpoint of their own (RFC 8705 §5).
fn shows_a_certificate(spec: &ProviderSpec) -> bool {
    let authentication = spec.client_authentication.as_ref();
    authentication.is_some_and(|authentication| {
        authentication.method == ClientAuthenticationMethod::TlsClientAuth
    })
}

fn version(spec: &ProviderSpec) -> String {
    let text = serde_json::to_string(spec).unwrap_or_default();
    fingerprint(b"provider", &[&text])
}

/// Whether credentials in a namespace with these labels may use a provider that names these namespaces.
pub fn admits(
    namespaces: Option<&Namespaces>,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> bool {
    let Some(namespaces) = namespaces else { return true };
    let labelled = namespaces.selector.as_ref().is_some_and(|selector| {
        let has = |(key, value)| labels.is_some_and(|labels| labels.get(key) == Some(value));
        !selector.match_labels.is_empty() && selector.match_labels.iter().all(has)
    });
    labelled || namespaces.names.iter().any(|name| name == namespace)
}

/// The status of a provider of which this is known. `previous` gives the time of transition.
pub fn status(
    known: Result<(), &Problem>,
    generation: Option<i64>,
    previous: &ProviderStatus,
    now: Timestamp,
) -> ProviderStatus {
    let (status, reason, message) = match known {
        Ok(()) => ("True", Reason::Valid, "the provider can be used".to_owned()),
        Err(problem) => {
            ("False", problem.reason, problem.text().replace("spec.provider.", "spec."))
        }
    };
    let before = previous.conditions.iter().find(|before| before.type_ == READY);
    let since = before.filter(|before| before.status == status);
    let condition = Condition {
        type_: READY.to_owned(),
        status: status.to_owned(),
        reason: reason.as_str().to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: since
            .map_or_else(|| Time(to_second(now)), |before| before.last_transition_time.clone()),
    };
    ProviderStatus { observed_generation: generation, conditions: vec![condition] }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::provider::{NamespaceSelector, ProviderKind};

    fn spec(value: serde_json::Value) -> ProviderSpec {
        serde_json::from_value(value).unwrap()
    }

    fn metadata(token: &str) -> Metadata {
        Metadata { token_endpoint: Url::parse(token).unwrap(), mtls_token_endpoint: None }
    }

    #[test]
    fn what_the_issuer_publishes_fills_in_what_the_spec_leaves_out() {
        let provider = Provider::of_object(spec(json!({"issuer": "https://as.example"})));
        let completed = provider.completed(&metadata("https://as.example/t")).unwrap().spec;
        assert_eq!(completed.token_endpoint.as_deref(), Some("https://as.example/t"));
        assert_eq!(completed.revocation_endpoint, None);
    }

    #[test]
    fn clients_with_a_certificate_go_to_the_endpoint_that_is_theirs() {
        let alias = Some(Ok(Url::parse("https://mtls.as.example/t").unwrap()));
        let good = Metadata { mtls_token_endpoint: alias, ..metadata("https://as.example/t") };
        let bad = Metadata {
            mtls_token_endpoint: Some(Err("in its mtls_endpoint_aliases has no".to_owned())),
            ..metadata("https://as.example/t")
        };
        let plain = json!({"issuer": "https://as.example"});
        let bound = json!({
            "issuer": "https://as.example", "clientAuthentication": {"method": "TlsClientAuth"},
        });
        let completed = |value: &serde_json::Value, metadata: &Metadata| {
            let provider = Provider::of_object(spec(value.clone()));
            provider
                .completed(metadata)
                .map(|provider| provider.spec.token_endpoint.clone().unwrap())
        };
        assert_eq!(completed(&plain, &good).unwrap(), "https://as.example/t");
        assert_eq!(completed(&bound, &good).unwrap(), "https://mtls.as.example/t");
        assert_eq!(
            completed(&bound, &metadata("https://as.example/t")).unwrap(),
            "https://as.example/t"
        );
        assert_eq!(completed(&plain, &bad).unwrap(), "https://as.example/t");
        let problem = completed(&bound, &bad).unwrap_err();
        assert_eq!(problem.reason, Reason::DiscoveryFailed);
    }

    #[test]
    fn an_alias_stands_for_the_endpoint_of_its_host_alone() {
        let own = "https://as.example/t";
        for (alias, is_of_it) in [
            ("https://as.example:8443/t", true),
            ("https://mtls.as.example/t", true),
            (own, false),
            ("http://as.example/t", false),
            ("https://mtls.example/t", false),
            ("https://evil-as.example/t", false),
            ("https://example/t", false),
            ("https://127.0.0.1/t", false),
        ] {
            let found = Some(Ok(Url::parse(alias).unwrap()));
            let metadata = Metadata { mtls_token_endpoint: found, ..metadata(own) };
            let bound = json!({
                "issuer": "https://as.example", "clientAuthentication": {"method": "TlsClientAuth"},
            });
            let provider = Provider::of_object(spec(bound)).completed(&metadata).unwrap();
            let stands_for = provider.own_endpoint.map(String::from);
            assert_eq!(stands_for, is_of_it.then(|| own.to_owned()), "{alias}");
        }
    }

    #[test]
    fn a_problem_names_the_field_where_it_stands() {
        let problem = || Problem::new(Reason::SpecInvalid, "spec.provider.tokenEndpoint is".into());
        let inline = spec(json!({"tokenEndpoint": "https://as.example/t"}));
        let said = |provider: Provider<'_>| provider.located(problem()).message;
        assert_eq!(said(Provider::inline(&inline)), "spec.provider.tokenEndpoint is");
        let name = ProviderRef { kind: ProviderKind::OAuthProvider, name: "p".into() };
        let object = || Provider::of_object(inline.clone());
        assert_eq!(said(object().named(&name)), "spec.tokenEndpoint is (of the OAuthProvider p)");
        let issuer = spec(json!({"issuer": "https://as.example"}));
        assert_eq!(
            said(Provider::inline(&issuer)),
            "the token_endpoint that spec.provider.issuer publishes is"
        );
    }

    #[test]
    fn each_change_gives_another_version() {
        let inline = spec(json!({"tokenEndpoint": "https://as.example/t"}));
        assert_eq!(Provider::inline(&inline).version, None);
        let of = |value| Provider::of_object(spec(value)).version.unwrap();
        let first = of(json!({"tokenEndpoint": "https://as.example/t"}));
        assert_eq!(first, of(json!({"tokenEndpoint": "https://as.example/t"})));
        assert_ne!(first, of(json!({"tokenEndpoint": "https://as.example/u"})));
        let issuer = spec(json!({"issuer": "https://as.example"}));
        let found =
            |token| Provider::inline(&issuer).completed(&metadata(token)).unwrap().version.unwrap();
        assert_ne!(found("https://as.example/t"), found("https://as.example/u"));
    }

    #[test]
    fn namespaces_are_admitted_by_name_or_by_label() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let named = Namespaces { names: vec!["a".into()], selector: None };
        let selector = NamespaceSelector { match_labels: labels(&[("team", "x"), ("env", "p")]) };
        let labelled = Namespaces { names: Vec::new(), selector: Some(selector.clone()) };
        let both = Namespaces { names: vec!["a".into()], selector: Some(selector) };
        let (whole, half) =
            (labels(&[("team", "x"), ("env", "p"), ("o", "o")]), labels(&[("team", "x")]));
        assert!(admits(None, "any", None));
        assert!(admits(Some(&named), "a", None) && !admits(Some(&named), "b", Some(&whole)));
        assert!(admits(Some(&labelled), "b", Some(&whole)));
        assert!(!admits(Some(&labelled), "b", Some(&half)) && !admits(Some(&labelled), "b", None));
        assert!(admits(Some(&both), "a", Some(&half)) && admits(Some(&both), "b", Some(&whole)));
        let nobody =
            Namespaces { selector: Some(NamespaceSelector::default()), ..Default::default() };
        assert!(!admits(Some(&nobody), "a", Some(&whole)), "an empty selector selects nothing");
    }

    #[test]
    fn the_time_of_transition_moves_only_with_the_status() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (new, old) =
            (ProviderStatus::default(), Problem::new(Reason::DiscoveryFailed, "x".into()));
        let first = status(Ok(()), Some(1), &new, at(5));
        let again = status(Ok(()), Some(2), &first, at(6));
        assert_eq!(again.conditions[0].last_transition_time, Time(at(5)));
        let failed = status(Err(&old), Some(2), &again, at(7));
        assert_eq!(failed.conditions[0].last_transition_time, Time(at(7)));
        assert_eq!(failed.conditions[0].reason, "DiscoveryFailed");
    }
}
