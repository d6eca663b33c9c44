//! An object that this version of the operator can't read, as another version may have stored it.

use std::sync::Arc;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::stage::{HOUR, Neighbour, SOON, Stage, eager, server, spec};
use crate::story::mended;

const CRD: &str = "customresourcedefinition/oauthcredentials.oauth-keeper.dev";

async fn set_schema(stage: &Stage, schema: &Value) {
    let patch = json!([{"op": "replace", "path": "/spec/versions/0/schema", "value": schema}]);
    let arguments = ["patch", CRD, "--type=json", "--patch", &patch.to_string()];
    stage.env.control_plane.kubectl(&arguments).await;
}

/// Creates objects that the schema refuses, by putting another in its place for the while.
async fn smuggle(stage: &Stage, objects: &[Value]) {
    let control_plane = &stage.env.control_plane;
    let schema =
        control_plane.kubectl(&["get", CRD, "-o", "jsonpath={.spec.versions[0].schema}"]).await;
    let schema: Value = serde_json::from_str(&schema).expect("kubectl prints JSON");
    let anything = json!({"openAPIV3Schema": {
        "type": "object", "x-kubernetes-preserve-unknown-fields": true,
    }});
    set_schema(stage, &anything).await;
    let create = async {
        for object in objects {
            let object = serde_json::from_value(object.clone()).expect("it is an object");
            wait::until_ok("the object is taken", SOON, || async {
                let taken = stage.credentials().create(&PostParams::default(), &object).await;
                taken.map(drop)
            })
            .await;
        }
    };
    mended(create, set_schema(stage, &schema)).await;
    wait::until("the schema is in force again", SOON, || async {
        let mut object: DynamicObject = serde_json::from_value(objects[0].clone()).ok()?;
        object.metadata.name = Some("probe".to_owned());
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        stage.credentials().create(&dry, &object).await.is_err().then_some(())
    })
    .await;
}

pub async fn an_unreadable_object_says_so_and_harms_no_other(env: Arc<Env>) {
    let stage = Stage::new(env, "unreadable").await;
    let server = server(HOUR).await;
    let operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let object = |name: &str, spec: Value| {
        json!({
            "apiVersion": "oauth-keeper.dev/v1alpha1",
            "kind": "OAuthCredential",
            "metadata": {"name": name, "namespace": stage.namespace},
            "spec": spec,
        })
    };
    let mut number = spec("number", &server.token_endpoint());
    number["provider"] = json!(17);
    let mut list = spec("list", &server.token_endpoint());
    list["scopes"] = json!({"not": "a list"});
    let objects = [
        object("number", number),
        object("list", list),
        object("empty", json!({})),
        object("future", json!({"grant": {"telepathy": {}}})),
    ];
    smuggle(&stage, &objects).await;

    // Those that came after, and those before, are kept as ever.
    neighbour.renewed_twice(&stage).await;
    stage.refreshing("c", &server, eager(spec("c", &server.token_endpoint()))).await;
    stage.ready("c").await;
    for object in &objects {
        let name = object["metadata"]["name"].as_str().expect("it has one");
        let message = stage.condition(name, "Stalled", "True", "SpecInvalid").await;
        assert!(message.starts_with("the object can't be read: "), "{name}: {message}");
        stage.condition(name, "Ready", "False", "SpecInvalid").await;
    }
    let mut before = stage.versions().await;
    before.retain(|name, _| !name.starts_with("neighbour"));
    neighbour.renewed_twice(&stage).await;
    let after = stage.versions().await;
    assert!(
        before.iter().all(|(name, version)| after[name] == *version),
        "written again and again"
    );
    assert_eq!(operator.try_exit(), None);

    // A new process starts with them in its list.
    operator.stop().await;
    let operator = stage.operator().await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(server.counts().requests, 1);
    assert_eq!(operator.try_exit(), None);

    // Mended, it is kept like any other.
    stage.source("list-source", &[("refresh_token", server.seed_public())]).await;
    let mended = spec("list", &server.token_endpoint());
    let mended = json!([{"op": "replace", "path": "/spec", "value": mended}]);
    let mended = Patch::<Value>::Json(serde_json::from_value(mended).expect("it is a patch"));
    let patched = stage.credentials().patch("list", &PatchParams::default(), &mended).await;
    patched.expect("it is right now");
    stage.ready("list").await;
    // No other test need meet them.
    for object in &objects {
        let name = object["metadata"]["name"].as_str().expect("it has one");
        stage
            .credentials()
            .delete(name, &DeleteParams::default())
            .await
            .expect("it can be deleted");
    }
}
