//! Many credentials, each with a client of its own.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use oauth_keeper::api::OAuthCredential;
use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use serde_json::{Value, json};

use crate::plan::Plan;

/// Where they live.
pub(crate) const NAMESPACE: &str = "fleet";
/// Requests under way at once while they are made.
const CONCURRENCY: usize = 32;

/// The grant of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No state.
    ClientCredentials,
    /// A refresh token that is rotated with every renewal.
    RefreshToken,
}

impl Kind {
    /// For headings.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client credentials",
            Self::RefreshToken => "rotating",
        }
    }

    fn grant(self) -> Value {
        match self {
            Self::ClientCredentials => json!({"clientCredentials": {}}),
            Self::RefreshToken => json!({"refreshToken": {}}),
        }
    }
}

/// Makes the sources, then the credentials.
pub(crate) async fn create(
    client: &Client,
    kind: Kind,
    size: usize,
    plan: &Plan,
    server: &AuthorizationServer,
) {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let sources = (0..size).map(|number| create_one(&secrets, source(kind, number, server)));
    stream::iter(sources).buffer_unordered(CONCURRENCY).collect::<()>().await;
    let credentials: Api<OAuthCredential> = Api::namespaced(client.clone(), NAMESPACE);
    let endpoint = server.token_endpoint();
    let objects =
        (0..size).map(|number| create_one(&credentials, credential(kind, number, plan, &endpoint)));
    stream::iter(objects).buffer_unordered(CONCURRENCY).collect::<()>().await;
}

/// Edits every credential so that it asks for another token at once, with that scope.
pub(crate) async fn touch(client: &Client, size: usize, scope: &str) {
    let credentials: Api<OAuthCredential> = Api::namespaced(client.clone(), NAMESPACE);
    let patch = Patch::Merge(json!({"spec": {"scopes": [scope]}}));
    let touched = (0..size).map(|number| {
        let (credentials, patch) = (credentials.clone(), patch.clone());
        async move {
            let name = name(number);
            credentials
                .patch(&name, &PatchParams::default(), &patch)
                .await
                .unwrap_or_else(|error| panic!("{name} can't be edited: {error}"));
        }
    });
    stream::iter(touched).buffer_unordered(CONCURRENCY).collect::<()>().await;
}

/// A number as people write it.
pub(crate) fn number(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

fn name(number: usize) -> String {
    format!("c{number:05}")
}

async fn create_one<K>(api: &Api<K>, object: Value)
where
    K: Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let parsed = serde_json::from_value(object).expect("the object is of this kind");
    api.create(&PostParams::default(), &parsed)
        .await
        .unwrap_or_else(|error| panic!("an object of the fleet can't be made: {error}"));
}

fn source(kind: Kind, number: usize, server: &AuthorizationServer) -> Value {
    let client = name(number);
    let mut values = json!({"client_id": client, "client_secret": server.client_secret(&client)});
    if kind == Kind::RefreshToken {
        values["refresh_token"] = json!(server.seed());
    }
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": format!("{client}-source")},
        "stringData": values,
    })
}

fn credential(kind: Kind, number: usize, plan: &Plan, endpoint: &str) -> Value {
    let name = name(number);
    json!({
        "apiVersion": "oauth-keeper.dev/v1alpha1", "kind": "OAuthCredential",
        "metadata": {"name": name},
        "spec": {
            "provider": {"tokenEndpoint": endpoint},
            "grant": kind.grant(),
            "source": {"name": format!("{name}-source")},
            "target": {"name": format!("{name}-token")},
            "renewal": {"renewBefore": Plan::renew_before(), "jitter": format!("{}s", plan.jitter().as_secs())},
        },
    })
}
