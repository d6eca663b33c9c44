//! A test's own namespace with the one credential in it, and an operator with rights in that
//! namespace alone, as the chart gives them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use kube::api::DeleteParams;
use oauth_keeper_test_support::chart::{self, OperatorRights};
use oauth_keeper_test_support::credentials;
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::Value;

const CREDENTIAL: &str = "credential";
const SOURCE: &str = "source";
const TARGET: &str = "target";
const LIMIT: Duration = Duration::from_secs(60);

/// What one test works in.
pub(crate) struct World {
    client: Client,
    namespace: String,
    rights: OperatorRights,
}

impl World {
    /// A new namespace with a release of the chart that watches it.
    pub(crate) async fn new(env: &Env, name: &str) -> Self {
        let namespace = env.control_plane.namespace(name).await;
        let watched = format!("watchNamespaces={{{namespace}}}");
        // The CRDs are there already.
        let values = [watched.as_str(), "crds.enabled=false"];
        let rights =
            chart::install_operator_rights_with(&env.control_plane, &namespace, &values).await;
        Self { client: env.control_plane.client(), namespace, rights }
    }

    /// Starts an operator and waits until it works.
    pub(crate) async fn operator(&self) -> Operator {
        let binary = env!("CARGO_BIN_EXE_oauth-keeper");
        let options = OperatorOptions::new(binary, &self.rights.kubeconfig)
            .namespace(&self.namespace)
            .arg("--lease-name")
            .arg(&self.rights.lease_name);
        let operator = Operator::start(options).await;
        operator.ready().await;
        operator
    }

    /// Makes the source hold exactly these keys.
    pub(crate) async fn source(&self, keys: &[(&str, &str)]) {
        credentials::apply_source(&self.client, &self.namespace, SOURCE, keys).await;
    }

    /// Gives the credential this spec, to which the names of source and target are added.
    pub(crate) async fn credential(&self, mut spec: Value) {
        spec["source"]["name"] = SOURCE.into();
        spec["target"]["name"] = TARGET.into();
        credentials::apply_credential(&self.client, &self.namespace, CREDENTIAL, spec).await;
    }

    /// Deletes the credential and waits until it is gone.
    pub(crate) async fn delete(&self) {
        let api = credentials::credentials(&self.client, &self.namespace);
        api.delete(CREDENTIAL, &DeleteParams::default()).await.expect("it can be deleted");
        wait::until_ok("the credential is gone", LIMIT, || async {
            match api.get_opt(CREDENTIAL).await {
                Ok(None) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Waits until all is well; gives the status.
    pub(crate) async fn ready(&self) -> Value {
        credentials::wait_ready(&self.client, &self.namespace, CREDENTIAL).await
    }

    /// Waits until the credential has that condition; gives the status.
    pub(crate) async fn condition(&self, type_: &str, status: &str, reason: &str) -> Value {
        let (client, namespace) = (&self.client, &self.namespace);
        credentials::wait_condition(client, namespace, CREDENTIAL, type_, status, reason).await
    }

    /// Waits for the `revision`-th token set; gives the status.
    pub(crate) async fn revision(&self, revision: i64) -> Value {
        credentials::wait_revision(&self.client, &self.namespace, CREDENTIAL, revision).await
    }

    /// Waits until the token in the target lives that long from its issue on; gives the status.
    pub(crate) async fn lifetime(&self, seconds: i64) -> Value {
        let what = format!("has a token for {seconds} seconds");
        let lives = |status: &Value| status["expiresAt"].is_string() && lifetime(status) == seconds;
        credentials::wait_status(&self.client, &self.namespace, CREDENTIAL, &what, lives).await
    }

    /// The target's texts by key.
    pub(crate) async fn target(&self) -> BTreeMap<String, String> {
        credentials::target(&self.client, &self.namespace, TARGET).await
    }

    /// The target's text under that key.
    pub(crate) async fn target_key(&self, key: &str) -> String {
        let mut target = self.target().await;
        let value = target.remove(key);
        value.unwrap_or_else(|| panic!("the target has no key {key}"))
    }

    /// The operator's own record.
    pub(crate) async fn state_record(&self) -> Value {
        credentials::state_record(&self.client, &self.namespace, CREDENTIAL).await
    }

    /// All that can be seen without reading the data of Secrets.
    pub(crate) async fn visible(&self) -> String {
        credentials::visible(&self.client, &self.namespace).await
    }

    /// No secret is where it can be seen, and no refresh token is in the target.
    pub(crate) async fn assert_hidden(&self, operator: &Operator, secrets: &[String]) {
        let (visible, log) = (self.visible().await, operator.log());
        for secret in secrets {
            assert!(!visible.contains(secret), "{secret} is in {visible}");
            assert!(!log.contains(secret), "{secret} is in {log}");
        }
        let target = self.target().await;
        let keys: Vec<&str> = target.keys().map(String::as_str).collect();
        let expected = ["access_token", "authorization", "expires_at", "token_type"];
        assert_eq!(keys, expected);
        let refresh_token = self.state_record().await["refreshToken"].clone();
        let refresh_token = refresh_token.as_str().expect("a state has one").to_owned();
        assert!(!target.values().any(|text| text.contains(&refresh_token)));
    }
}

/// Nothing went wrong that the operator would have told of.
pub(crate) fn assert_calm(operator: &Operator) {
    let events = operator.log_events();
    let mut troubles = events.iter().filter(|event| event["level"] != "INFO");
    assert_eq!(troubles.next(), None);
}

/// A time in a status.
pub(crate) fn time(status: &Value, field: &str) -> Timestamp {
    let text = status[field].as_str().unwrap_or_default();
    let time = text.parse();
    time.unwrap_or_else(|error| panic!("{field} is no time ({error}): {status:#}"))
}

/// How long the token lives from its issue to its expiry, in seconds.
pub(crate) fn lifetime(status: &Value) -> i64 {
    time(status, "expiresAt").as_second() - time(status, "issuedAt").as_second()
}
