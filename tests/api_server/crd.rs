//! What the API server takes and refuses, with the words the user reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::tools;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::stage::{HOUR, Stage, server, spec, with};

/// A credential as most users write it.
fn smallest() -> Value {
    json!({
        "apiVersion": "oauth-keeper.dev/v1alpha1",
        "kind": "OAuthCredential",
        "metadata": {"name": "c"},
        "spec": {
            "provider": {"tokenEndpoint": "https://as.example/token"},
            "source": {"name": "s"},
            "target": {"name": "t"},
        },
    })
}

/// Asks the API server whether it would take the object.
async fn offer(stage: &Stage, object: &Value) -> Result<DynamicObject, String> {
    let object: DynamicObject = serde_json::from_value(object.clone()).expect("it is an object");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let answer = stage.credentials().create(&dry, &object).await;
    answer.map_err(|error| match error {
        kube::Error::Api(status) => status.message,
        other => panic!("the API server does not answer: {other}"),
    })
}

/// The rows of a table, with what stands for long texts written out.
fn rows<T: DeserializeOwned>(table: &str) -> T {
    let mut rows: Value = serde_yaml_ng::from_str(table).expect("the table is YAML");
    write_out(&mut rows);
    serde_json::from_value(rows).expect("the table is as it is read")
}

fn write_out(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(write_out),
        Value::Object(members) => members.values_mut().for_each(write_out),
        Value::String(text) => {
            let times = text
                .split_once('*')
                .and_then(|(part, times)| Some(part.repeat(times.parse().ok()?)));
            *text = times.unwrap_or_else(|| std::mem::take(text));
        }
        _ => {}
    }
}

/// So many labels, annotations or scopes.
fn many(count: usize) -> [Value; 3] {
    let names = (0..count).map(|number| format!("k{number}"));
    let pairs: Value = names.clone().map(|name| (name, json!("v"))).collect();
    let names: Vec<_> = names.collect();
    [
        json!({"spec": {"target": {"labels": pairs}}}),
        json!({"spec": {"target": {"annotations": pairs}}}),
        json!({"spec": {"scopes": names}}),
    ]
}

pub async fn right_specs_are_taken(env: Arc<Env>) {
    let stage = Stage::new(env, "crd").await;
    let mut changes: Vec<Value> = rows(include_str!("crd/taken.yaml"));
    let [labels, annotations, _] = many(32);
    let [.., scopes] = many(100);
    changes.extend([labels, annotations, scopes]);
    let mut wrong = Vec::new();
    for change in changes {
        if let Err(message) = offer(&stage, &with(smallest(), change.clone())).await {
            wrong.push(format!("{change}\n  {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub async fn wrong_specs_are_refused_with_words_to_act_on(env: Arc<Env>) {
    let stage = Stage::new(env, "crd").await;
    let mut refusals: Vec<(String, Vec<Value>)> =
        rows::<BTreeMap<_, _>>(include_str!("crd/refused.yaml")).into_iter().collect();
    let [labels, annotations, _] = many(33);
    let [.., scopes] = many(101);
    refusals.extend([
        ("Too many: 33: must have at most 32 items".to_owned(), vec![labels, annotations]),
        ("Too many: 101: must have at most 100 items".to_owned(), vec![scopes]),
    ]);
    let mut wrong = Vec::new();
    for (words, changes) in refusals {
        for change in changes {
            match offer(&stage, &with(smallest(), change.clone())).await {
                Err(message) if message.contains(&words) => {}
                Err(message) => wrong.push(format!("{change}\n  not: {words}\n  but: {message}")),
                Ok(_) => wrong.push(format!("{change}\n  not: {words}\n  but taken")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Asks the API server whether it would take a provider; gives the words of a refusal.
async fn offer_provider(stage: &Stage, kind: &str, spec: &Value) -> Result<(), String> {
    let object = crate::providers::provider(kind, &stage.namespace, "p", spec);
    let object: DynamicObject = serde_json::from_value(object).expect("it is an object");
    let group = GroupVersionKind::gvk("oauth-keeper.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk(&group);
    let api: Api<DynamicObject> = if kind == "OAuthProvider" {
        Api::namespaced_with(stage.client.clone(), &stage.namespace, &resource)
    } else {
        Api::all_with(stage.client.clone(), &resource)
    };
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    api.create(&dry, &object).await.map(|_| ()).map_err(|error| match error {
        kube::Error::Api(status) => status.message,
        other => panic!("the API server does not answer: {other}"),
    })
}

/// A rule of a provider's field holds wherever the field stands.
pub async fn providers_are_taken_and_refused_likewise(env: Arc<Env>) {
    let stage = Stage::new(env, "crd").await;
    let endpoint = json!({"tokenEndpoint": "https://as.example/token"});
    let and = |more: Value| with(endpoint.clone(), more);
    let only = |namespaces: Value| and(json!({"namespaces": namespaces}));
    let (own, cluster) = ("OAuthProvider", "ClusterOAuthProvider");
    let issuer = json!({"issuer": "https://as.example/tenant"});
    let empty = json!({"selector": {"matchLabels": {}}});
    let rows = [
        (own, endpoint.clone(), ""),
        (cluster, endpoint.clone(), ""),
        (own, issuer.clone(), ""),
        (cluster, issuer.clone(), ""),
        (cluster, only(json!({"names": ["a"]})), ""),
        (cluster, only(json!({"selector": {"matchLabels": {"a": "b"}}})), ""),
        (own, json!({}), "spec takes exactly one of tokenEndpoint and issuer"),
        (cluster, and(issuer), "spec takes exactly one of tokenEndpoint and issuer"),
        (own, json!({"tokenEndpoint": "/token"}), "tokenEndpoint must be an absolute URL"),
        (own, json!({"issuer": "https://as.example?x"}), "issuer must have no query"),
        (cluster, and(json!({"reuseGrace": "721h"})), "reuseGrace must lie between"),
        (cluster, only(json!({})), "namespaces needs names or selector"),
        (cluster, only(json!({"names": []})), "should have at least 1 items"),
        (cluster, only(json!({"names": ["A"]})), "spec.namespaces.names[0] in body should match"),
        (cluster, only(empty), "should have at least 1 properties"),
    ];
    let mut wrong = Vec::new();
    for (kind, spec, words) in rows {
        match offer_provider(&stage, kind, &spec).await {
            Ok(()) if words.is_empty() => {}
            Err(message) if !words.is_empty() && message.contains(words) => {}
            other => wrong.push(format!("{kind} {spec}\n  not: {words}\n  but: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub async fn presets_are_taken(env: Arc<Env>) {
    let folder = tools::repository_root().join("examples/providers");
    let path = folder.to_string_lossy();
    let arguments = ["apply", "--server-side", "--dry-run=server", "-f", &path];
    let taken = env.control_plane.try_kubectl(&arguments).await;
    let taken = taken.unwrap_or_else(|message| panic!("{message}"));
    let files = std::fs::read_dir(&folder).expect("the folder is there");
    let files = files.map(|file| file.expect("it can be read").path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    assert_eq!(taken.lines().count(), files.count(), "{taken}");
}

pub async fn misspelt_fields_are_refused_by_kubectl(env: Arc<Env>) {
    let stage = Stage::new(env, "crd").await;
    let spec = json!({"metadata": {"namespace": stage.namespace}, "spec": {"scope": ["a"]}});
    let object = with(smallest(), spec);
    let refusal = stage.env.control_plane.apply_objects(&[object]).await;
    let message = refusal.expect_err("there is no such field");
    assert!(message.contains(".spec.scope: field not declared in schema"), "{message}");
}

pub async fn nothing_is_filled_in(env: Arc<Env>) {
    let stage = Stage::new(env, "crd").await;
    let taken = offer(&stage, &smallest()).await.expect("it is right");
    let written: Vec<_> = taken.data["spec"].as_object().expect("it is one").keys().collect();
    assert_eq!(written, ["provider", "source", "target"]);
}

/// A default that the API server stored would stay beside another grant.
pub async fn the_grant_can_be_changed_by_apply(env: Arc<Env>) {
    let stage = Stage::new(env, "crd").await;
    let meta = json!({"metadata": {"namespace": stage.namespace}});
    for grant in [json!(null), json!({"clientCredentials": {}}), json!({"refreshToken": {}})] {
        let object = with(with(smallest(), meta.clone()), json!({"spec": {"grant": grant}}));
        let applied = stage.env.control_plane.apply_objects(&[object]).await;
        applied.unwrap_or_else(|error| panic!("{grant}: {error}"));
    }
}

pub async fn kubectl_shows_what_matters(env: Arc<Env>) {
    let stage = Stage::new(env, "crd").await;
    let server = server(HOUR).await;
    let _operator = stage.operator().await;
    stage.asking("c", &server, spec("c", &server.token_endpoint())).await;
    let status = stage.ready("c").await;

    for name in ["oac", "oauthcredential", "oauthcredentials", "oauth-keeper"] {
        let table = stage.env.control_plane.kubectl(&["get", name, "-n", &stage.namespace]).await;
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let columns = ["NAME", "READY", "REASON", "EXPIRES", "RENEWAL", "TARGET", "AGE"];
        assert_eq!(lines.next().as_deref(), Some(&columns[..]), "{table}");
        let row = lines.next().unwrap_or_default();
        let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
        let (expires, renewal) = (text("expiresAt"), text("nextRenewalTime"));
        // The category puts the kind before the name.
        assert!(row[0].ends_with('c'), "{table}");
        assert_eq!(row[1..6], ["True", "Fresh", &expires, &renewal, "c-target"], "{table}");
    }
}
