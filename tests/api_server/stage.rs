//! A namespace of its own for each test, and the words in which tests speak of what is in it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use oauth_keeper_test_support::authorization_server::{AuthorizationServer, ServerOptions};
use oauth_keeper_test_support::credentials;
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

/// Long enough for anything that is to happen at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);
/// How many lines of an operator's log are shown when its test fails.
const LOG_TAIL: usize = 40;
/// Longer than any test runs.
pub const HOUR: Duration = Duration::from_secs(3600);

/// A namespace.
pub struct Stage<E = Env> {
    pub env: Arc<E>,
    pub client: Client,
    pub namespace: String,
}

impl Stage {
    pub async fn new(env: Arc<Env>, name: &str) -> Self {
        let namespace = env.control_plane.namespace(name).await;
        Self { client: env.control_plane.client(), env, namespace }
    }

    /// An operator for this namespace alone, under the chart's rights.
    pub fn options(&self) -> OperatorOptions {
        OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), &self.env.operator.kubeconfig)
            .namespace(&self.namespace)
            .arg("--leader-election=false")
    }

    /// Starts it and waits until it is ready.
    pub async fn operator(&self) -> Watched {
        started(self.options()).await
    }
}

impl<E> Stage<E> {
    pub async fn source<V: AsRef<[u8]>>(&self, name: &str, keys: &[(&str, V)]) {
        credentials::apply_source(&self.client, &self.namespace, name, keys).await;
    }

    pub async fn credential(&self, name: &str, spec: Value) {
        credentials::apply_credential(&self.client, &self.namespace, name, spec).await;
    }

    /// A credential with its source `NAME-source`, which holds a client and a seed of that server.
    pub async fn refreshing(
        &self,
        name: &str,
        server: &AuthorizationServer,
        spec: Value,
    ) -> String {
        let seed = server.seed();
        let secret = server.client_secret(name);
        let keys = [("client_id", name), ("client_secret", &secret), ("refresh_token", &seed)];
        self.source(&source_of(name), &keys).await;
        self.credential(name, spec).await;
        seed
    }

    /// A credential of the other grant with its source `NAME-source`.
    pub async fn asking(&self, name: &str, server: &AuthorizationServer, spec: Value) {
        let secret = server.client_secret(name);
        let keys = [("client_id", name), ("client_secret", &secret)];
        self.source(&source_of(name), &keys).await;
        self.credential(name, client_credentials(spec)).await;
    }

    pub async fn ready(&self, name: &str) -> Value {
        credentials::wait_ready(&self.client, &self.namespace, name).await
    }

    /// Waits for a condition; gives its message.
    pub async fn condition(&self, name: &str, type_: &str, status: &str, reason: &str) -> String {
        let status =
            credentials::wait_condition(&self.client, &self.namespace, name, type_, status, reason)
                .await;
        let condition = credentials::condition(&status, type_);
        condition["message"].as_str().unwrap_or_default().to_owned()
    }

    pub async fn revision(&self, name: &str, revision: i64) -> Value {
        credentials::wait_revision(&self.client, &self.namespace, name, revision).await
    }

    pub async fn status_that(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        credentials::wait_status(&self.client, &self.namespace, name, what, holds).await
    }

    pub async fn status(&self, name: &str) -> Value {
        credentials::status(&self.client, &self.namespace, name).await
    }

    /// The texts of the target `NAME-target`.
    pub async fn target(&self, name: &str) -> BTreeMap<String, String> {
        credentials::target(&self.client, &self.namespace, &target_of(name)).await
    }

    /// Waits until the target `NAME-target` holds a key with that text.
    pub async fn target_holds(&self, name: &str, key: &str, text: &str) {
        wait::until_ok("the target holds it", SOON, || async {
            let target = self.target(name).await;
            match target.get(key) {
                Some(value) if value == text => Ok(()),
                other => Err(format!("{key} is {other:?}, not {text}")),
            }
        })
        .await;
    }

    /// Waits until a deleted credential is gone.
    pub async fn gone(&self, name: &str) {
        wait::until("the credential is gone", SOON, || async {
            self.credentials().get_opt(name).await.ok()?.is_none().then_some(())
        })
        .await;
    }

    pub async fn state_record(&self, name: &str) -> Value {
        credentials::state_record(&self.client, &self.namespace, name).await
    }

    pub fn secrets(&self) -> Api<Secret> {
        credentials::secrets(&self.client, &self.namespace)
    }

    pub fn credentials(&self) -> Api<DynamicObject> {
        credentials::credentials(&self.client, &self.namespace)
    }

    pub async fn secret(&self, name: &str) -> Secret {
        self.secrets().get(name).await.expect("the Secret exists")
    }

    /// Changes a Secret as somebody who is not the operator.
    pub async fn edit_secret(&self, name: &str, patch: &Value) {
        let params =
            PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        self.secrets()
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap_or_else(|error| panic!("the Secret {name} can't be edited: {error}"));
    }

    pub async fn delete_secret(&self, name: &str) {
        self.secrets()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap_or_else(|error| panic!("the Secret {name} can't be deleted: {error}"));
    }

    /// The events that regard a credential, by reason, in the order in which they were made.
    pub async fn events(&self, name: &str) -> Vec<Event> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let list = events.list(&ListParams::default()).await;
        let mut events = list.expect("events can be listed").items;
        events.retain(|event| {
            let regarding = event.regarding.as_ref();
            regarding.is_some_and(|regarding| regarding.name.as_deref() == Some(name))
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events
    }

    /// Name and `resourceVersion` of every Secret, credential and event: what a write would change.
    pub async fn versions(&self) -> BTreeMap<String, String> {
        let text = credentials::visible(&self.client, &self.namespace).await;
        let objects = text.lines().map(|line| {
            let object: Value = serde_json::from_str(line).expect("each line is JSON");
            // A Secret is shown by its metadata alone.
            let meta = object.get("metadata").cloned().unwrap_or(object);
            let word = |key: &str| meta[key].as_str().unwrap_or_default().to_owned();
            (format!("{} {}", word("name"), word("uid")), word("resourceVersion"))
        });
        objects.collect()
    }
}

/// Starts an operator and waits until it is ready.
pub async fn started(options: OperatorOptions) -> Watched {
    let operator = Watched::new(Operator::start(options).await);
    operator.ready().await;
    operator
}

/// An operator whose log is shown when its test fails.
pub struct Watched(Operator);

impl Watched {
    pub fn new(operator: Operator) -> Self {
        Self(operator)
    }
}

impl Deref for Watched {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.0.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
            eprintln!("the end of the operator's log:\n{tail}");
        }
    }
}

pub fn source_of(credential: &str) -> String {
    format!("{credential}-source")
}

pub fn target_of(credential: &str) -> String {
    format!("{credential}-target")
}

pub fn state_of(credential: &str) -> String {
    format!("{credential}-oauth-state")
}

/// The smallest spec, with the Secrets `NAME-source` and `NAME-target`.
pub fn spec(name: &str, endpoint: &str) -> Value {
    json!({
        "provider": {"tokenEndpoint": endpoint},
        "source": {"name": source_of(name)},
        "target": {"name": target_of(name)},
    })
}

/// Renews one second before expiry and no more often than each second.
pub fn quick(spec: Value) -> Value {
    with(spec, json!({"renewal": {"renewBefore": "1s", "jitter": "0s", "minInterval": "1s"}}))
}

/// Without the ten seconds that must lie between two token requests by default.
pub fn eager(spec: Value) -> Value {
    with(spec, json!({"renewal": {"minInterval": "1s"}}))
}

pub fn client_credentials(spec: Value) -> Value {
    with(spec, json!({"grant": {"clientCredentials": {}}}))
}

/// A JSON merge patch (RFC 7386).
pub fn with(mut value: Value, patch: Value) -> Value {
    merge(&mut value, patch);
    value
}

fn merge(value: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *value = patch;
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (key, change) in patch {
        let object = value.as_object_mut().expect("it was made an object");
        if change.is_null() {
            object.remove(&key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), change);
        }
    }
}

/// A server whose tokens live that long.
pub async fn server(lifetime: Duration) -> AuthorizationServer {
    AuthorizationServer::start(ServerOptions {
        access_token_lifetime: lifetime,
        ..ServerOptions::default()
    })
    .await
}

/// A healthy credential that is renewed every other second. Its renewals show that the operator had
/// time to do what it must not do, and that other credentials don't disturb it.
pub struct Neighbour {
    server: AuthorizationServer,
    name: &'static str,
}

impl Neighbour {
    pub async fn on(stage: &Stage) -> Self {
        Self::at(stage, "127.0.0.1").await
    }

    /// With its server under that name.
    pub async fn at(stage: &Stage, host: &str) -> Self {
        let name = "neighbour";
        let server = server(Duration::from_secs(3)).await;
        let endpoint = server.token_endpoint().replace("127.0.0.1", host);
        stage.asking(name, &server, quick(spec(name, &endpoint))).await;
        stage.ready(name).await;
        Self { server, name }
    }

    /// Waits until it was renewed twice more.
    pub async fn renewed_twice(&self, stage: &Stage) {
        let status = stage.status(self.name).await;
        let revision = status["target"]["revision"].as_i64();
        let revision = revision.expect("it is ready");
        stage.revision(self.name, revision + 2).await;
        assert_eq!(self.server.counts().refusals, 0);
    }
}
