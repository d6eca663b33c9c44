//! The chart's admission policy: a credential may do only what its author may do with its Secrets.

mod author;
pub mod tenants;

use std::sync::Arc;

use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use self::author::{Author, assert_refused};
use crate::stage::{HOUR, Neighbour, SOON, Stage, server, spec, with};

const ENDPOINT: &str = "https://as.example/token";

/// A spec with everything that can be changed or taken out.
fn full() -> Value {
    with(
        spec("c", ENDPOINT),
        json!({
            "scopes": ["read"],
            "state": {"deletionPolicy": "Delete"},
            "grant": {"refreshToken": {}},
            "renewal": {"jitter": "1s"},
            "provider": {"reuseGrace": "60s"},
        }),
    )
}

pub async fn an_author_needs_rights_on_the_secrets(env: Arc<Env>) {
    let stage = Stage::new(env, "admission").await;
    let ann = Author::new(&stage, "ann").await;
    let apply = || ann.apply("c", spec("c", ENDPOINT), false);
    assert_refused(
        apply().await,
        "ann may not get the Secret c-source in the namespace admission-",
    );
    // Another's right does not help.
    ann.may_on_secrets("get", "c-other").await;
    assert_refused(apply().await, "ann may not get the Secret c-source");

    ann.may_on_secrets("get", "c-source").await;
    assert_refused(apply().await, "ann may not create the Secret c-target");
    ann.may_on_secrets("create", "").await;
    assert_refused(apply().await, "ann may not update the Secret c-target");
    ann.may_on_secrets("update", "c-target").await;
    apply().await.expect("the author may do all that the credential does");

    let moved = with(spec("c", ENDPOINT), json!({"target": {"name": "another"}}));
    assert_refused(ann.apply("c", moved, false).await, "ann may not update the Secret another");
    let written = with(spec("c", ENDPOINT), json!({"source": {"writeBack": true}}));
    let words = "ann may not update the Secret c-source";
    assert_refused(ann.apply("c", written.clone(), false).await, words);
    ann.may_on_secrets("update", "c-source").await;
    ann.apply("c", written, false).await.expect("the author may write the source");
}

pub async fn a_change_of_what_is_asked_for_needs_them_too(env: Arc<Env>) {
    let stage = Stage::new(env, "admission").await;
    stage.credential("c", full()).await;
    let bob = Author::new(&stage, "bob").await;
    let changes = [
        json!({"provider": {"tokenEndpoint": "https://evil.example/token"}}),
        json!({"provider": {"revocationEndpoint": "https://evil.example/revoke"}}),
        json!({"provider": {"clientAuthentication": {"method": "ClientSecretBasic"}}}),
        json!({"provider": {"request": {"encoding": "Json"}}}),
        json!({"provider": {"reuseGrace": null}}),
        json!({"source": {"keys": {"clientSecret": "another"}}}),
        json!({"source": {"writeBack": true}}),
        json!({"target": {"name": "another"}}),
        json!({"target": {"labels": {"a": "b"}}}),
        json!({"state": {"deletionPolicy": "Retain"}}),
        json!({"state": null}),
        json!({"grant": {"refreshToken": null, "clientCredentials": {}}, "state": null, "provider": {"reuseGrace": null}}),
        json!({"scopes": ["read", "write"]}),
        json!({"scopes": null}),
    ];
    for change in changes {
        let answer = bob.apply("c", with(full(), change.clone()), false).await;
        let message = answer.expect_err(&change.to_string());
        assert!(message.contains("bob may not get the Secret c-source"), "{change}: {message}");
    }
    let other_source = with(full(), json!({"source": {"name": "another"}}));
    let answer = bob.apply("c", other_source, false).await;
    assert_refused(answer, "bob may not get the Secret another");

    bob.may_on_secrets("get", "c-source").await;
    let moved = with(full(), json!({"provider": {"tokenEndpoint": "https://new.example/token"}}));
    assert_refused(
        bob.apply("c", moved.clone(), false).await,
        "bob may not create the Secret c-target",
    );
    bob.may_on_secrets("create", "").await;
    bob.may_on_secrets("update", "c-target").await;
    bob.apply("c", moved, false).await.expect("now bob may do what it does");
}

/// Such a token goes to an endpoint of the author's choice, for an audience of their choice.
pub async fn tokens_of_service_accounts_need_the_right_to_them(env: Arc<Env>) {
    let stage = Stage::new(env, "admission").await;
    let dan = Author::new(&stage, "dan").await;
    dan.may_on_secrets("get", "c-source").await;
    dan.may_on_secrets("create", "").await;
    dan.may_on_secrets("update", "c-target").await;
    let account = |name: &str| json!({"serviceAccount": {"name": name, "audience": "x"}});
    let given =
        |exchange: Value| with(spec("c", ENDPOINT), json!({"grant": {"tokenExchange": exchange}}));
    let subject = given(json!({"subjectToken": account("ci")}));
    let actor = given(json!({"subjectToken": {"secretKey": {}}, "actorToken": account("ci")}));
    for wanted in [&subject, &actor] {
        let answer = dan.apply("c", wanted.clone(), true).await;
        assert_refused(
            answer,
            "dan may not create tokens of the ServiceAccount ci in the namespace admission-",
        );
    }
    let stored = given(json!({"subjectToken": {"secretKey": {}}}));
    dan.apply("c", stored, true).await.expect("it is the author's own");

    dan.may("create", "", "serviceaccounts/token", "ci").await;
    for wanted in [subject, actor] {
        dan.apply("c", wanted, true).await.expect("the author may make such tokens");
    }
    let another = given(json!({"subjectToken": account("root")}));
    assert_refused(dan.apply("c", another, true).await, "of the ServiceAccount root");
}

/// As tools that deploy from Git, the operator and the garbage collector do.
pub async fn what_changes_nothing_of_it_is_let_through(env: Arc<Env>) {
    let stage = Stage::new(env, "admission").await;
    stage.credential("c", full()).await;
    let cid = Author::new(&stage, "cid").await;
    cid.apply("c", full(), false).await.expect("an unchanged object may be applied again");
    for change in [json!({"suspend": true}), json!({"suspend": true, "renewal": null})] {
        let answer = cid.apply("c", with(full(), change.clone()), false).await;
        answer.unwrap_or_else(|message| panic!("{change}: {message}"));
    }
    let metadata = [
        json!({"labels": {"a": "b"}, "annotations": {"a": "b"}}),
        json!({"finalizers": ["example.com/a"]}),
        json!({"finalizers": null, "ownerReferences": null}),
    ];
    for change in metadata {
        let answer = cid.merge("c", &json!({"metadata": change})).await;
        answer.unwrap_or_else(|message| panic!("{change}: {message}"));
    }
}

pub async fn a_provider_is_written_by_those_who_read_secrets(env: Arc<Env>) {
    let stage = Stage::new(env, "admission").await;
    let dan = Author::new(&stage, "dan").await;
    let spec = |endpoint: &str| json!({"tokenEndpoint": endpoint});
    for kind in ["oauthproviders", "clusteroauthproviders"] {
        for verb in ["get", "create", "patch"] {
            // Those of the cluster need a role of the cluster.
            if kind == "oauthproviders" {
                dan.may(verb, "oauth-keeper.dev", kind, "").await;
            }
        }
    }
    let apply = |endpoint: &'static str| {
        let object =
            crate::providers::provider("OAuthProvider", &stage.namespace, "p", &spec(endpoint));
        let text = object.to_string();
        let plane = Arc::clone(&stage.env);
        async move { plane.control_plane.apply_as(&text, "dan").await.map(|_| ()) }
    };
    assert_refused(
        apply(ENDPOINT).await,
        "dan may not get the Secrets in the namespace admission-",
    );
    // One Secret is not all that may be sent.
    dan.may_on_secrets("get", "c-source").await;
    assert_refused(apply(ENDPOINT).await, "dan may not get the Secrets");
    crate::providers::apply(&stage, "OAuthProvider", "p", &spec(ENDPOINT))
        .await
        .expect("it is taken");
    apply(ENDPOINT).await.expect("an unchanged object may be applied again");
    assert_refused(apply("https://evil.example/token").await, "dan may not get the Secrets");
    dan.may_on_secrets("get", "").await;
    assert_refused(apply("https://evil.example/token").await, "dan may not update the Secrets");
    dan.may_on_secrets("update", "").await;
    // Asked for by the policies of other tests' releases, whose operators serve some namespaces alone.
    dan.may("create", "", "serviceaccounts/token", "").await;
    let taken = apply("https://evil.example/token").await;
    taken.expect("dan may read all that is sent there, and write what comes of it");

    let cluster =
        crate::providers::provider("ClusterOAuthProvider", "", &stage.namespace, &spec(ENDPOINT));
    let rights = [
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": stage.namespace},
            "rules": [{"apiGroups": ["oauth-keeper.dev"], "resources": ["clusteroauthproviders"], "verbs": ["*"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": stage.namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": stage.namespace},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "dan"}]}),
    ];
    stage.env.control_plane.apply_objects(&rights).await.expect("the role is valid");
    let text = cluster.to_string();
    wait::until_ok("it is refused for the right reason", SOON, || async {
        match stage.env.control_plane.apply_as(&text, "dan").await {
            Err(message) if message.contains("dan may not get the Secrets of all namespaces") => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

pub async fn an_author_without_rights_gets_nothing_sent(env: Arc<Env>) {
    let stage = Stage::new(env, "admission").await;
    let (honest, evil) = (server(HOUR).await, server(HOUR).await);
    let _operator = stage.operator().await;
    stage.refreshing("c", &honest, spec("c", &honest.token_endpoint())).await;
    stage.ready("c").await;
    let eve = Author::new(&stage, "eve").await;
    let theft = with(spec("c", &evil.token_endpoint()), json!({"target": {"name": "stolen"}}));
    for name in ["c", "another"] {
        let answer = eve.apply(name, theft.clone(), false).await;
        assert_refused(answer, "eve may not get the Secret c-source");
    }
    Neighbour::on(&stage).await.renewed_twice(&stage).await;
    assert_eq!(evil.counts().requests, 0);
}
