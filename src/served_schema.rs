//! Whether the cluster's CRD has all fields of this release: looked into by a process that comes to lead. The API server drops those it
//! does not know, so that an older CRD takes settings away without a word.

use std::time::Duration;

use kube::{Client, CustomResourceExt as _};
use serde_json::Value;

use crate::api::OAuthCredential;

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
    let fields = lacking(&document);
    if !fields.is_empty() {
        tracing::warn!(
            fields = fields.join(" "),
            "the CustomResourceDefinition is of another release: the API server drops these fields; upgrade it with the chart or from `oauth-keeper crd`"
        );
    }
}

/// The paths of fields that this release has and the document has not; none when it does not speak of the kind.
fn lacking(document: &Value) -> Vec<String> {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    let served = schemas
        .into_iter()
        .flatten()
        .find_map(|(name, schema)| name.ends_with(".OAuthCredential").then_some(schema));
    let own = serde_json::to_value(OAuthCredential::crd()).unwrap_or_default();
    let own = own.pointer("/spec/versions/0/schema/openAPIV3Schema");
    let mut fields = Vec::new();
    if let Some((own, served)) = own.zip(served) {
        compare(own, served, "", &mut fields);
    }
    fields
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

    /// As the API server shows a CRD with that schema.
    fn document(schema: &Value) -> Value {
        json!({"components": {"schemas": {
            "dev.oauth-keeper.v1alpha1.OAuthCredentialList": {},
            "dev.oauth-keeper.v1alpha1.OAuthCredential": schema,
        }}})
    }

    fn own() -> Value {
        let crd = serde_json::to_value(OAuthCredential::crd()).unwrap();
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone()
    }

    fn without(pointer: &str, field: &str) -> Vec<String> {
        let mut schema = own();
        schema.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        lacking(&document(&schema))
    }

    #[test]
    fn the_crd_of_this_release_lacks_nothing() {
        assert_eq!(lacking(&document(&own())), [""; 0]);
        assert_eq!(lacking(&json!({})), [""; 0], "nothing is known");
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
