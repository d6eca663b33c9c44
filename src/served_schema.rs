//! Whether the cluster's CRDs have all kinds and fields of this release: looked into by a process that comes to lead. The API
//! server drops fields it does not know, so that an older CRD takes settings away without a word.

use std::time::Duration;

use kube::{Client, CustomResourceExt as _};
use serde_json::Value;

use crate::api::{ClusterOAuthProvider, OAuthCredential, OAuthProvider};

/// Open to every account, unlike the CRD itself.
const PATH: &str = "/openapi/v3/apis/oauth-keeper.dev/v1alpha1";
const LIMIT: Duration = Duration::from_secs(15);

/// Asks the API server, and says in the log what is lacking.
pub async fn say(client: Client) {
    let Ok(request) = http::Request::get(PATH).body(Vec::new()) else { return };
    let document: Value = match tokio::time::timeout(LIMIT, client.request(request)).await {
        Ok(Ok(document)) => document,
        // A CRD that is missing altogether is told by the watch.
        Ok(Err(error)) => return tracing::debug!(%error, "schema not read"),
        Err(_) => return tracing::debug!("schema not read: no answer"),
    };
    for (kind, own) in kinds() {
        match lacking(&document, kind, &own) {
            // That of credentials is told by the watch.
            None if kind == CREDENTIAL => {}
            None => tracing::warn!(
                kind,
                "the CustomResourceDefinition of this kind is not installed, so that it can't be used; install it with the chart or from `oauth-keeper crd`"
            ),
            Some(fields) if fields.is_empty() => {}
            Some(fields) => tracing::warn!(
                kind,
                fields = fields.join(" "),
                "the CustomResourceDefinition is of another release: the API server drops these fields; upgrade it with the chart or from `oauth-keeper crd`"
            ),
        }
    }
}

const CREDENTIAL: &str = "OAuthCredential";

/// The kinds of this release with their CRDs.
fn kinds() -> [(&'static str, Value); 3] {
    let own = |crd| serde_json::to_value(crd).unwrap_or_default();
    [
        (CREDENTIAL, own(OAuthCredential::crd())),
        ("OAuthProvider", own(OAuthProvider::crd())),
        ("ClusterOAuthProvider", own(ClusterOAuthProvider::crd())),
    ]
}

/// The paths of fields that this release has and the document has not; nothing when it does not speak of the kind.
fn lacking(document: &Value, kind: &str, own: &Value) -> Option<Vec<String>> {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    let is_it = |name: &str| name.rsplit('.').next() == Some(kind);
    let mut schemas = schemas.into_iter().flatten();
    let served = schemas.find_map(|(name, schema)| is_it(name).then_some(schema))?;
    let mut fields = Vec::new();
    if let Some(own) = own.pointer("/spec/versions/0/schema/openAPIV3Schema") {
        compare(own, served, "", &mut fields);
    }
    Some(fields)
}

fn compare(own: &Value, served: &Value, path: &str, fields: &mut Vec<String>) {
    for (name, schema) in own.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{name}");
        match served.get("properties").and_then(|properties| properties.get(name)) {
            Some(served) => compare(schema, served, &path, fields),
            None => fields.push(path),
        }
    }
    if let Some((own, served)) = own.get("items").zip(served.get("items")) {
        compare(own, served, path, fields);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

    /// As the API server shows CRDs with these schemas.
    fn document(schemas: &[(&str, Value)]) -> Value {
        let named = schemas.iter().flat_map(|(kind, schema)| {
            let name = format!("dev.oauth-keeper.v1alpha1.{kind}");
            [(format!("{name}List"), json!({})), (name, schema.clone())]
        });
        json!({"components": {"schemas": named.collect::<serde_json::Map<_, _>>()}})
    }

    fn without(pointer: &str, field: &str) -> Vec<String> {
        let (kind, own) = &kinds()[0];
        let mut schema = own.pointer(SCHEMA).unwrap().clone();
        schema.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        lacking(&document(&[(kind, schema)]), kind, own).unwrap()
    }

    #[test]
    fn the_crds_of_this_release_lack_nothing() {
        let kinds = kinds();
        let served =
            kinds.each_ref().map(|(kind, own)| (*kind, own.pointer(SCHEMA).unwrap().clone()));
        for (kind, own) in &kinds {
            assert_eq!(lacking(&document(&served), kind, own), Some(Vec::new()), "{kind}");
            assert_eq!(lacking(&json!({}), kind, own), None, "{kind}: nothing is known");
        }
    }

    #[test]
    fn a_kind_that_is_not_served_is_known_from_one_whose_name_it_ends_in() {
        let [_, (kind, own), (cluster, _)] = kinds();
        let served = document(&[(cluster, own.pointer(SCHEMA).unwrap().clone())]);
        assert_eq!(lacking(&served, kind, &own), None);
    }

    #[test]
    fn a_field_that_is_not_served_is_named() {
        let spec = "/properties/spec/properties";
        assert_eq!(without(spec, "suspend"), [".spec.suspend"]);
        let provider = "/properties/spec/properties/provider/properties";
        assert_eq!(without(provider, "reuseGrace"), [".spec.provider.reuseGrace"]);
        let condition = "/properties/status/properties/conditions/items/properties";
        assert_eq!(without(condition, "reason"), [".status.conditions.reason"]);
    }
}
