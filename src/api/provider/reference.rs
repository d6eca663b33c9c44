//! The provider of a credential: inline, or the name of an object.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProviderSpec;
use crate::api::NAME_PATTERN;

/// The authorization server of a credential, given inline or by the name of an object that describes it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("[has(self.tokenEndpoint), has(self.issuer), has(self.ref)].filter(set, set).size() == 1")
        .message("provider takes exactly one of tokenEndpoint, issuer and ref"),
    validation = Rule::new("!has(self.ref) || !(has(self.clientAuthentication) || has(self.request) || has(self.response) || has(self.refreshEndpoint) || has(self.revocationEndpoint) || has(self.defaultLifetime) || has(self.reuseGrace) || has(self.refreshTokenLifetime) || has(self.refreshTokenIdleLifetime) || has(self.refreshTokenAbsoluteLifetime) || has(self.earliestRenewal) || has(self.tls) || has(self.rateLimit))")
        .message("provider.ref takes no other field of provider beside it: they stand in the object that it names")
)]
pub struct CredentialProvider {
    /// An object that describes the authorization server, in place of all other fields.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ProviderRef>,
    /// The authorization server, given inline.
    #[serde(flatten)]
    pub inline: ProviderSpec,
}

/// The name of an object that describes an authorization server.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRef {
    /// `OAuthProvider` for one in the credential's own namespace, `ClusterOAuthProvider` for one of the cluster.
    pub kind: ProviderKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

/// Kinds that describe an authorization server.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display,
)]
pub enum ProviderKind {
    /// In the credential's own namespace.
    OAuthProvider,
    /// Of the cluster.
    ClusterOAuthProvider,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn schema<T: JsonSchema>() -> Value {
        let mut generator = schemars::SchemaGenerator::default();
        serde_json::to_value(T::json_schema(&mut generator)).unwrap()
    }

    #[test]
    fn a_reference_stands_alone_whatever_fields_a_provider_has() {
        let schemas = (schema::<CredentialProvider>(), schema::<ProviderSpec>());
        let rules = schemas.0["x-kubernetes-validations"].as_array().unwrap();
        let alone = rules.iter().find(|rule| {
            rule["message"].as_str().unwrap().starts_with("provider.ref takes no other field")
        });
        let alone = alone.unwrap()["rule"].as_str().unwrap();
        for field in schemas.1["properties"].as_object().unwrap().keys() {
            let is_a_choice = ["tokenEndpoint", "issuer"].contains(&field.as_str());
            assert!(is_a_choice || alone.contains(&format!("has(self.{field})")), "{field}");
        }
    }

    #[test]
    fn rules_of_the_fields_hold_inline_too() {
        let inline = schema::<CredentialProvider>();
        for (field, own) in schema::<ProviderSpec>()["properties"].as_object().unwrap() {
            assert_eq!(&inline["properties"][field], own, "{field}");
        }
    }

    #[test]
    fn both_forms_are_read_and_written_alike() {
        for provider in [
            json!({"tokenEndpoint": "https://as.example/t", "reuseGrace": "1m"}),
            json!({"ref": {"kind": "ClusterOAuthProvider", "name": "slack"}}),
        ] {
            let read: CredentialProvider = serde_json::from_value(provider.clone()).unwrap();
            let mut written = serde_json::to_value(read).unwrap();
            written.as_object_mut().unwrap().remove("reuseGrace");
            let mut given = provider;
            given.as_object_mut().unwrap().remove("reuseGrace");
            assert_eq!(written, given);
        }
    }
}
