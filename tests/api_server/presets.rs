//! The chart of presets, as users install it, and what credentials get by way of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::control_plane::ControlPlane;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::signing_key::rsa_key;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::{helm, tools, wait};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::providers::by_name;
use crate::stage::{SOON, Stage, quick, source_of, started, with};

/// All of them, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What each preset stands for: the documented request and answer, with tokens that no other has.
fn cases() -> BTreeMap<String, Value> {
    let folder = tools::repository_root().join("tests/presets");
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        let own = |token: &str| format!("{token}-{name}");
        let text =
            text.replace("access-1", &own("access-1")).replace("refresh-2", &own("refresh-2"));
        (name, serde_yaml_ng::from_str(&text).expect("it is YAML"))
    };
    files.map(|file| read(file.expect("it can be read").path())).collect()
}

/// A release of the chart in a namespace.
struct Release<'a> {
    control_plane: &'a ControlPlane,
    namespace: &'a str,
    values: TempDir,
}

impl<'a> Release<'a> {
    fn new(control_plane: &'a ControlPlane, namespace: &'a str) -> Self {
        Self { control_plane, namespace, values: TempDir::new().expect("a folder can be made") }
    }

    /// Installs or upgrades it, with these presets.
    async fn with(&self, presets: &Value) -> Result<String, String> {
        let file = self.values.path().join("values.json");
        let values = json!({"presets": presets}).to_string();
        std::fs::write(&file, values).expect("the folder can be written");
        let chart = tools::repository_root().join("charts/oauth-keeper-presets");
        let (chart, file) = (chart.to_string_lossy(), file.to_string_lossy());
        self.helm(&["upgrade", "--install", "presets", &chart, "--values", &file]).await
    }

    async fn uninstall(&self) {
        self.helm(&["uninstall", "presets"]).await.expect("it is installed");
    }

    async fn helm(&self, arguments: &[&str]) -> Result<String, String> {
        let arguments = [arguments, &["--namespace", self.namespace]].concat();
        helm::run(self.control_plane.admin_kubeconfig(), &arguments).await
    }
}

/// Waits until every provider of that kind in the namespace can be used; gives their number.
async fn all_valid(stage: &Stage, kind: &str) -> usize {
    let arguments = ["get", kind, "-n", &stage.namespace, "-o", "json"];
    wait::until_ok("all providers are valid", PATIENCE, || async {
        let text = stage.env.control_plane.try_kubectl(&arguments).await?;
        let list: Value = serde_json::from_str(&text).expect("kubectl prints JSON");
        let items = list["items"].as_array().expect("it is a list");
        let valid = |item: &&Value| item["status"]["conditions"][0]["reason"] == "Valid";
        let wrong: Vec<_> = items.iter().filter(|item| !valid(item)).collect();
        let name = |item: &Value| format!("{}: {}", item["metadata"]["name"], item["status"]);
        if wrong.is_empty() {
            Ok(items.len())
        } else {
            Err(wrong.into_iter().map(name).collect::<Vec<_>>().join("\n"))
        }
    })
    .await
}

/// A server that answers at the path `/NAME` as that vendor documents.
async fn vendors(cases: &BTreeMap<String, Value>) -> ScriptedServer {
    let server = ScriptedServer::start().await;
    let answers: BTreeMap<String, Answer> = cases
        .iter()
        .map(|(name, case)| {
            let body = case["answer"]["body"].as_str().expect("an answer has a body");
            let content_type = case["answer"]["headers"]["content-type"].as_str();
            let answer = Answer {
                headers: vec![(
                    "content-type".to_owned(),
                    content_type.unwrap_or("application/json").to_owned(),
                )],
                body: body.as_bytes().to_vec(),
                ..Answer::status(200)
            };
            (format!("/{name}"), answer)
        })
        .collect();
    server.answer_with(move |request| {
        answers.get(request.path()).cloned().unwrap_or_else(|| Answer::status(404))
    });
    server
}

/// Every preset with its endpoints led to that server.
fn led_to(server: &ScriptedServer, cases: &BTreeMap<String, Value>) -> Value {
    let preset = |name: &String| {
        let file = tools::repository_root().join(format!("examples/providers/{name}.yaml"));
        let text = std::fs::read_to_string(file).expect("each case has a preset");
        let preset: Value = serde_yaml_ng::from_str(&text).expect("it is YAML");
        let endpoint = server.url(&format!("/{name}"));
        let mut entry = json!({"kind": "OAuthProvider", "spec": {"tokenEndpoint": endpoint}});
        if preset["spec"]["refreshEndpoint"].is_string() {
            entry["spec"]["refreshEndpoint"] = endpoint.into();
        }
        // Placeholders that are not part of an endpoint.
        match name.as_str() {
            "walmart" => entry["placeholders"] = json!({"your-seller-id": "seller"}),
            "netsuite-m2m" => entry["placeholders"] = json!({"your-certificate-id": "k"}),
            _ => {}
        }
        (name.clone(), entry)
    };
    cases.keys().map(preset).collect::<Map<_, _>>().into()
}

pub async fn each_preset_brings_the_documented_token(env: Arc<Env>) {
    let stage = Stage::new(env, "presets").await;
    let mut cases = cases();
    let all = cases.len();
    // Their answers hold a time, which is long past.
    cases.retain(|_, case| case["answer"]["receivedAt"].is_null());
    assert!(cases.len() + 3 >= all && cases.len() >= 60, "{}", cases.len());
    let server = vendors(&cases).await;
    let _operator = stage.operator().await;
    let release = Release::new(&stage.env.control_plane, &stage.namespace);

    let notes = release.with(&led_to(&server, &cases)).await;
    let notes = notes.unwrap_or_else(|message| panic!("{message}"));

    assert!(notes.contains("{ref: {kind: OAuthProvider, name: slack}}"), "{notes}");
    assert_eq!(all_valid(&stage, "oauthproviders").await, cases.len());
    let private_key = rsa_key();
    for (name, case) in &cases {
        let refresh_token = format!("refresh-token-of-{name}");
        let keys = [
            ("client_id", "client"),
            ("client_secret", "secret"),
            ("refresh_token", refresh_token.as_str()),
            ("private_key", private_key.as_str()),
        ];
        stage.source(&source_of(name), &keys).await;
        let grant = case["grant"].as_str().expect("a case has one");
        let mut own = json!({"grant": {grant: {}}});
        for field in ["scopes", "parameters"] {
            let given = &case[field];
            if given.as_array().is_some_and(|list| !list.is_empty()) || given.is_object() {
                own[field] = given.clone();
            }
        }
        stage.credential(name, with(by_name(name, "OAuthProvider", name), own)).await;
    }
    for (name, case) in &cases {
        stage.ready(name).await;
        let target = stage.target(name).await;
        let mut expected = case["token"]["fields"].as_object().cloned().unwrap_or_default();
        expected.insert("access_token".to_owned(), case["token"]["accessToken"].clone());
        for (key, value) in expected {
            assert_eq!(target.get(&key).map(String::as_str), value.as_str(), "{name}: {key}");
        }
    }
}

/// As they are, but for placeholders.
pub async fn all_presets_are_valid_as_they_are(env: Arc<Env>) {
    let stage = Stage::new(env, "presets").await;
    let _operator = stage.operator().await;
    let release = Release::new(&stage.env.control_plane, &stage.namespace);
    let names: Vec<String> = cases().into_keys().collect();
    let mut presets: Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!({"kind": "OAuthProvider"}))).collect();

    // Each refusal names the first that is left.
    while let Err(message) = release.with(&Value::Object(presets.clone())).await {
        let (name, placeholders) = left(&message).unwrap_or_else(|| panic!("{message}"));
        let filled: Map<_, _> =
            placeholders.into_iter().map(|one| (one, json!("filled.example.org"))).collect();
        assert!(presets[&name]["placeholders"].is_null(), "{message}");
        presets[&name]["placeholders"] = filled.into();
    }

    assert_eq!(all_valid(&stage, "oauthproviders").await, names.len());
    release.uninstall().await;
    assert_eq!(all_valid(&stage, "oauthproviders").await, 0);
}

/// Which preset lacks which fillings, by the words of a refusal.
fn left(message: &str) -> Option<(String, Vec<String>)> {
    let (_, rest) = message.split_once("): presets.")?;
    let (name, rest) = rest.split_once(".placeholders must say what stands in place of: ")?;
    let placeholders = rest.lines().next()?.split(", ").map(str::to_owned).collect();
    Some((name.to_owned(), placeholders))
}

/// Alone, for it looks at all namespaces.
pub async fn one_of_the_cluster_is_renewed_by_and_upgraded(env: Arc<Env>) {
    let stage = Stage::new(env, "presets").await;
    let server = crate::stage::server(Duration::from_secs(3)).await;
    let mut options = stage.options();
    options.namespaces.clear();
    let _operator = started(options).await;
    let release = Release::new(&stage.env.control_plane, &stage.namespace);
    // Named like the namespace, which no other object of the cluster is.
    let name = stage.namespace.as_str();
    let preset = |more: Value| {
        let spec = json!({"tokenEndpoint": server.token_endpoint()});
        let entry = json!({"preset": "auth0", "namespaces": {"names": [name]}, "spec": spec});
        json!({name: with(entry, more)})
    };
    release.with(&preset(json!({}))).await.unwrap_or_else(|message| panic!("{message}"));
    let kind = "ClusterOAuthProvider";
    stage.refreshing("c", &server, quick(by_name("c", kind, name))).await;
    stage.revision("c", 2).await;
    assert_eq!(server.counts().refusals, 0);

    let elsewhere = preset(json!({"namespaces": {"names": ["elsewhere"]}}));
    release.with(&elsewhere).await.unwrap_or_else(|message| panic!("{message}"));
    stage.condition("c", "Stalled", "True", "ProviderNotAllowed").await;
    release.with(&preset(json!({}))).await.unwrap_or_else(|message| panic!("{message}"));
    let revision = stage.ready("c").await["target"]["revision"].as_i64().expect("it has one");
    stage.revision("c", revision + 1).await;

    release.uninstall().await;
    stage.condition("c", "Stalled", "True", "ProviderNotFound").await;
}

/// A cluster on which the chart of the operator is not installed.
pub async fn without_the_kinds_it_is_said_what_to_install(_: Arc<Env>) {
    let control_plane = ControlPlane::start().await;
    let release = Release::new(&control_plane, "default");
    let message = release.with(&json!({"slack": {}})).await.expect_err("there is no such kind");
    assert!(message.contains("install the chart oauth-keeper first"), "{message}");

    control_plane
        .apply(include_str!("../../crds/clusteroauthproviders.yaml"))
        .await
        .expect("it is valid");
    control_plane.apply(include_str!("../../crds/oauthproviders.yaml")).await.expect("it is valid");
    let slack = json!({"slack": {}});
    wait::until_ok("it can be installed then", SOON, || release.with(&slack)).await;
    control_plane.stop().await;
}
