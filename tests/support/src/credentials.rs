//! Credentials and their Secrets as a user and the operator write them, seen through the API.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::wait;

/// Long enough for the longest wait there is: a second look at a refused refresh token, a minute on.
const LIMIT: Duration = Duration::from_secs(150);
/// The field manager of what tests apply.
const MANAGER: &str = "test";

/// Creates the Secret a credential reads, or makes it hold exactly these keys.
pub async fn apply_source<V: AsRef<[u8]>>(
    client: &Client,
    namespace: &str,
    name: &str,
    keys: &[(&str, V)],
) {
    let data = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_ref().to_vec())))
        .collect();
    let secret = Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(data),
        ..Secret::default()
    };
    secrets(client, namespace)
        .patch(name, &apply(), &Patch::Apply(&secret))
        .await
        .unwrap_or_else(|error| panic!("the Secret {namespace}/{name} can't be applied: {error}"));
}

/// Creates a credential, or gives it this spec.
pub async fn apply_credential(client: &Client, namespace: &str, name: &str, spec: Value) {
    try_apply_credential(client, namespace, name, spec).await.unwrap_or_else(|error| {
        panic!("the credential {namespace}/{name} can't be applied: {error}")
    });
}

/// The same, for specs that the API server may refuse.
pub async fn try_apply_credential(
    client: &Client,
    namespace: &str,
    name: &str,
    spec: Value,
) -> kube::Result<()> {
    let object = json!({
        "apiVersion": "oauth-keeper.dev/v1alpha1",
        "kind": "OAuthCredential",
        "metadata": {"name": name},
        "spec": spec,
    });
    let credentials = credentials(client, namespace);
    credentials.patch(name, &apply(), &Patch::Apply(&object)).await?;
    Ok(())
}

/// The status of a credential; null as long as it has none.
pub async fn status(client: &Client, namespace: &str, name: &str) -> Value {
    let observed = observe(client, namespace, name).await;
    let (_, status) = observed.unwrap_or_else(|error| panic!("{error}"));
    status
}

/// A condition of a status; null when it has none of that type.
pub fn condition<'a>(status: &'a Value, type_: &str) -> &'a Value {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == type_).unwrap_or(&Value::Null)
}

/// Waits until the operator calls the credential as it now is ready; gives the status.
pub async fn wait_ready(client: &Client, namespace: &str, name: &str) -> Value {
    wait_condition(client, namespace, name, "Ready", "True", "Fresh").await
}

/// Waits until the credential as it now is has that condition; gives the status.
pub async fn wait_condition(
    client: &Client,
    namespace: &str,
    name: &str,
    type_: &str,
    status: &str,
    reason: &str,
) -> Value {
    let what = format!("has {type_}={status} for {reason}");
    wait_status(client, namespace, name, &what, |seen| {
        let condition = condition(seen, type_);
        condition["status"] == status && condition["reason"] == reason
    })
    .await
}

/// Waits until the target holds at least its `revision`-th token set; gives the status.
pub async fn wait_revision(client: &Client, namespace: &str, name: &str, revision: i64) -> Value {
    let what = format!("has revision {revision}");
    wait_status(client, namespace, name, &what, |seen| {
        let reached = seen["target"]["revision"].as_i64();
        reached.is_some_and(|reached| reached >= revision)
    })
    .await
}

/// Waits until the status of the credential as it now is satisfies `holds`; gives the status.
pub async fn wait_status(
    client: &Client,
    namespace: &str,
    name: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    let what = format!("the credential {namespace}/{name} {what}");
    let holds = &holds;
    wait::until_ok(&what, LIMIT, || async move {
        let (generation, status) = observe(client, namespace, name).await?;
        let current = generation.is_some() && status["observedGeneration"].as_i64() == generation;
        if current && holds(&status) {
            Ok(status)
        } else {
            Err(format!("generation {generation:?} and {status:#}"))
        }
    })
    .await
}

/// The texts of a target Secret by key; none when it does not exist.
pub async fn target(client: &Client, namespace: &str, secret: &str) -> BTreeMap<String, String> {
    texts(client, namespace, secret).await
}

/// What the operator keeps for a credential that spends refresh tokens; null when it keeps nothing.
pub async fn state_record(client: &Client, namespace: &str, credential: &str) -> Value {
    let secret = texts(client, namespace, &format!("{credential}-oauth-state")).await;
    let record = secret.get("record");
    record.map_or(Value::Null, |record| serde_json::from_str(record).expect("the record is JSON"))
}

/// Everything a reader of a namespace without rights on Secrets can see of a credential: the object,
/// its events, and the annotations and labels of its Secrets, as one text.
pub async fn visible(client: &Client, namespace: &str) -> String {
    let mut text = String::new();
    let credentials = credentials(client, namespace);
    let events: Api<k8s_openapi::api::events::v1::Event> =
        Api::namespaced(client.clone(), namespace);
    let listing = "the objects of a namespace can be listed";
    for object in credentials.list(&Default::default()).await.expect(listing) {
        let _ = writeln!(text, "{}", json!(object));
    }
    for event in events.list(&Default::default()).await.expect(listing) {
        let _ = writeln!(text, "{}", json!(event));
    }
    let secrets = secrets(client, namespace);
    for secret in secrets.list_metadata(&Default::default()).await.expect(listing) {
        let _ = writeln!(text, "{}", json!(secret.metadata));
    }
    text
}

/// The generation and the status.
async fn observe(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<(Option<i64>, Value), String> {
    let object = credentials(client, namespace)
        .get(name)
        .await
        .map_err(|error| format!("the credential {namespace}/{name} can't be read: {error}"))?;
    let status = object.data.get("status").cloned().unwrap_or_default();
    Ok((object.metadata.generation, status))
}

async fn texts(client: &Client, namespace: &str, name: &str) -> BTreeMap<String, String> {
    let secret = secrets(client, namespace)
        .get_opt(name)
        .await
        .unwrap_or_else(|error| panic!("the Secret {namespace}/{name} can't be read: {error}"));
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    data.into_iter()
        .map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()))
        .collect()
}

fn apply() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

/// The API of the credentials in a namespace.
pub fn credentials(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "oauth-keeper.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "oauth-keeper.dev/v1alpha1".to_owned(),
        kind: "OAuthCredential".to_owned(),
        plural: "oauthcredentials".to_owned(),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// The API of the Secrets in a namespace.
pub fn secrets(client: &Client, namespace: &str) -> Api<Secret> {
    Api::namespaced(client.clone(), namespace)
}
