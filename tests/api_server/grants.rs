//! Grants beside the two common ones.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::Api;
use kube::api::PostParams;
use oauth_keeper_test_support::certificates::Authority;
use oauth_keeper_test_support::chart;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::operator::OperatorOptions;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::gate::Gate;
use crate::policy::Freeze;
use crate::stage::{
    HOUR, SOON, Stage, eager, quick, source_of, spec, started, state_of, target_of, with,
};

const AUDIENCE: &str = "https://as.example";

fn exchange(server: &ScriptedServer, more: Value) -> Value {
    let account = json!({"serviceAccount": {"name": "ci", "audience": AUDIENCE}});
    let grant = json!({"grant": {"tokenExchange": {"subjectToken": account}}});
    with(with(quick(spec("c", &server.url("/token"))), grant), more)
}

async fn account(stage: &Stage) {
    let meta = json!({"name": "ci", "namespace": stage.namespace});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta});
    stage.env.control_plane.apply_objects(&[account]).await.expect("it is valid");
}

/// Who that token says one is, for that audience.
async fn review(stage: &Stage, token: &str, audience: &str) -> Option<String> {
    let spec = TokenReviewSpec {
        token: Some(token.to_owned()),
        audiences: Some(vec![audience.to_owned()]),
    };
    let review = TokenReview { spec, ..TokenReview::default() };
    let reviews: Api<TokenReview> = Api::all(stage.client.clone());
    let reviewed = reviews.create(&PostParams::default(), &review).await;
    let status = reviewed.expect("an administrator may ask").status.unwrap_or_default();
    status.user.filter(|_| status.authenticated == Some(true))?.username
}

pub async fn a_workload_identity_needs_no_stored_secret(env: Arc<Env>) {
    let stage = Stage::new(env, "exchange").await;
    account(&stage).await;
    let server = ScriptedServer::start().await;
    server.always(Answer::json(
        200,
        &json!({
            "access_token": "exchanged-token", "token_type": "N_A", "expires_in": 3,
            "issued_token_type": "urn:ietf:params:oauth:token-type:id_token",
        }),
    ));
    let values = [
        &format!("watchNamespaces={{{}}}", stage.namespace),
        "crds.enabled=false",
        "rbac.serviceAccountTokens=true",
        "admissionPolicy.enabled=false",
    ];
    let rights =
        chart::install_operator_rights_with(&stage.env.control_plane, &stage.namespace, &values)
            .await;
    let options = OperatorOptions::new(env!("CARGO_BIN_EXE_oauth-keeper"), &rights.kubeconfig);
    let options = options.namespace(&stage.namespace).arg("--leader-election=false");
    let operator = started(options).await;
    // An empty one is enough.
    stage.source::<&str>(&source_of("c"), &[]).await;
    stage.credential("c", exchange(&server, json!({"audience": "api"}))).await;
    stage.revision("c", 2).await;

    let requests = server.requests();
    let form = requests[0].form();
    let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grant_type", "subject_token", "subject_token_type", "audience"]);
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(form[2].1, "urn:ietf:params:oauth:token-type:jwt");
    let given = &form[1].1;
    let account = format!("system:serviceaccount:{}:ci", stage.namespace);
    assert_eq!(review(&stage, given, AUDIENCE).await, Some(account));
    let of_the_cluster = review(&stage, given, "https://kubernetes.default.svc").await;
    assert_eq!(of_the_cluster, None, "it is for nobody else");
    assert_ne!(*given, requests[1].form()[1].1, "each exchange has its own");

    let target = stage.target("c").await;
    assert_eq!(target["access_token"], "exchanged-token");
    assert_eq!(target["token_type"], "N_A");
    assert_eq!(target["authorization"], "Bearer exchanged-token");
    assert_eq!(target["issued_token_type"], "urn:ietf:params:oauth:token-type:id_token");
    let log = operator.log();
    let secret = stage.secret(&target_of("c")).await;
    let seen = format!("{log}{secret:?}{:?}", stage.versions().await);
    assert!(requests.iter().all(|request| !seen.contains(&request.form()[1].1)));
}

pub async fn claims_are_said_as_they_are_written(env: Arc<Env>) {
    let stage = Stage::new(env, "claims").await;
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &json!({"access_token": "a", "expires_in": 3600})));
    let _operator = stage.operator().await;
    let key = Authority::new().host("client").key;
    stage.source(&source_of("c"), &[("client_id", "i"), ("private_key", key.as_str())]).await;
    let offer = async |claims: &Value| {
        let grant = json!({"grant": {"jwtBearer": {"algorithm": "ES256", "claims": claims}}});
        stage.credential("c", with(eager(spec("c", &server.url("/token"))), grant)).await;
    };
    let claims = json!({
        "team": "a", "admin": true, "level": -3, "share": 0.5, "groups": ["a", 7],
        "act": {"sub": "c", "more": [{"d": []}]},
    });
    offer(&claims).await;
    stage.ready("c").await;
    let form = server.requests().remove(0).form();
    let (_, assertion) = form.iter().find(|(name, _)| name == "assertion").expect("it is sent");
    let payload = assertion.split('.').nth(1).expect("it is a JWT");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("it is base64");
    let said: Value = serde_json::from_slice(&payload).expect("it is JSON");
    for (name, claim) in claims.as_object().expect("it is one") {
        assert_eq!(said[name], *claim, "{name}");
    }

    offer(&json!({"sub": 7})).await;
    let message = stage.condition("c", "Stalled", "True", "SpecInvalid").await;
    assert!(message.contains("spec.grant.jwtBearer.claims must not set sub"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

pub async fn a_token_of_a_service_account_that_is_refused_is_told(env: Arc<Env>) {
    let stage = Stage::new(env, "exchange").await;
    account(&stage).await;
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &json!({"access_token": "a", "expires_in": 3600})));
    let _operator = stage.operator().await;
    stage.source::<&str>(&source_of("c"), &[]).await;
    stage.credential("c", exchange(&server, json!({}))).await;
    // The chart gives the right only on request.
    let message = stage.condition("c", "Ready", "False", "ServiceAccountTokenRefused").await;
    let words =
        "no token of the ServiceAccount ci (spec.grant.tokenExchange.subjectToken.serviceAccount)";
    assert!(message.contains(words), "{message}");
    assert!(message.contains("cannot create resource \"serviceaccounts/token\""), "{message}");
    assert!(message.contains("rbac.serviceAccountTokens"), "{message}");
    assert_eq!(server.requests().len(), 0);

    let operator = &stage.env.operator;
    let name = "tokens";
    let api = "rbac.authorization.k8s.io";
    let meta = json!({"name": name, "namespace": stage.namespace});
    let objects = [
        json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": meta, "rules": [
            {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}]}),
        json!({"apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": name}, "subjects": [
            {"kind": "ServiceAccount", "name": operator.service_account, "namespace": operator.namespace}]}),
    ];
    stage.env.control_plane.apply_objects(&objects).await.expect("the role is valid");
    stage.ready("c").await;
}

/// A new refresh token in a cookie is kept as safely as any other.
pub async fn a_refresh_cookie_that_is_replaced_is_sent_next(env: Arc<Env>) {
    let stage = Stage::new(env, "cookies").await;
    let server = ScriptedServer::start().await;
    server.answer_with(|request| {
        let cookie = request.header("cookie").unwrap_or_default();
        let number =
            cookie.strip_prefix("r=refresh-").and_then(|number| number.parse::<u32>().ok());
        let Some(next) = number.map(|number| number + 1) else { return Answer::status(401) };
        let life = "Path=/; HttpOnly";
        Answer::body(404, "text/html", "<p>no such page</p>")
            .header("Set-Cookie", "lang=en")
            .header("Set-Cookie", &format!("r=refresh-{next}; Max-Age=2592000; {life}"))
            .header("Set-Cookie", &format!("a=access-{next}; Max-Age=3; {life}"))
    });
    let _operator = stage.operator().await;
    stage.source(&source_of("c"), &[("refresh_token", "refresh-0")]).await;
    let session = json!({"url": server.url("/me?x=1"), "refreshCookie": "r", "accessCookie": "a"});
    let wanted =
        with(quick(spec("c", &server.url("/token"))), json!({"grant": {"cookieSession": session}}));
    stage.credential("c", wanted).await;
    stage.revision("c", 3).await;

    let requests = server.requests();
    for (number, request) in requests.iter().enumerate() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/me?x=1"));
        assert_eq!(request.header("cookie"), Some(format!("r=refresh-{number}").as_str()));
    }
    let status = stage.status("c").await;
    assert!(status["refreshToken"]["rotations"].as_i64() >= Some(3), "{status}");
    assert!(status["refreshToken"]["expiresAt"].is_string(), "{status}");
    let target = stage.target("c").await;
    assert_eq!(target["cookie"], format!("a={}", target["access_token"]));
    assert!(!target.values().any(|text| text.contains("refresh-")));

    // A target that keeps no cookies has none.
    server.answer_with(|_| {
        Answer::json(200, &json!({"access_token": "b", "expires_in": HOUR.as_secs()}))
    });
    let plain =
        with(quick(spec("c", &server.url("/token"))), json!({"grant": {"refreshToken": {}}}));
    stage.credential("c", plain).await;
    stage.target_holds("c", "access_token", "b").await;
    assert!(!stage.target("c").await.contains_key("cookie"));
}

fn cookies(number: u32, seconds: u64) -> Answer {
    Answer::status(200)
        .header("Set-Cookie", &format!("refresh-token=refresh-{number}; Secure"))
        .header("Set-Cookie", &format!("access-token=access-{number}; Max-Age={seconds}"))
}

pub async fn a_journaled_session_is_committed_by_the_next_process(env: Arc<Env>) {
    let stage = Stage::new(env, "cookies").await;
    let mut gate = Gate::start().await;
    let folder = Folder::new(&stage.namespace);
    let journal = folder.text();
    let options = stage.options().env("POD_UID", "a-pod").arg("--journal-dir").arg(&journal);
    let operator = started(options.clone()).await;
    stage.source(&source_of("c"), &[("refresh_token", "refresh-0")]).await;
    let session = json!({"grant": {"cookieSession": {"url": gate.server.url("/me")}}});
    stage.credential("c", with(quick(spec("c", &gate.endpoint())), session)).await;
    gate.arrival().await;
    gate.answer(cookies(1, 3));
    stage.revision("c", 1).await;
    gate.arrival().await;
    let freeze = Freeze::of(&stage, &state_of("c")).await;
    gate.answer(cookies(2, HOUR.as_secs()));
    wait::until("the answer is journaled and not committed", SOON, || async {
        operator.log().contains("result not committed yet").then_some(())
    })
    .await;
    operator.kill();
    assert_eq!(stage.state_record("c").await["refreshToken"], "refresh-1");
    freeze.lift(&stage).await;

    let _operator = started(options).await;

    stage.revision("c", 2).await;
    assert_eq!(stage.state_record("c").await["refreshToken"], "refresh-2");
    stage.target_holds("c", "cookie", "access-token=access-2").await;
    assert_eq!(gate.more_arrivals(), 0, "nothing was asked again");
}
