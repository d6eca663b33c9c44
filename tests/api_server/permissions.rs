//! Each permission of the operator taken away in turn: it says which one is missing, goes on with the rest, and with all
//! once it has it back.

pub mod cluster;
pub mod tokens;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use oauth_keeper_test_support::chart::{self, OperatorRights};
use oauth_keeper_test_support::http_server::Answer;
use oauth_keeper_test_support::operator::{Operator, OperatorOptions};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;

use crate::access::Right;
use crate::gate::{Gate, rotated};
use crate::providers;
use crate::stage::{HOUR, SOON, Stage, Watched, quick, server, spec, started};
use crate::story::{first_exchange, second_exchange};

/// All of them, as the chart is held to.
const PERMISSIONS: &str = include_str!("../chart/permissions/namespaced");
/// Longer than the longest wait between two tries of anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// Without these nothing is renewed; without any other a credential without a refresh token is.
const NEEDED_BY_ALL: [&str; 8] = [
    "list oauthcredentials.oauth-keeper.dev",
    "get secrets",
    "list secrets",
    "create secrets",
    "patch secrets",
    "get leases.coordination.k8s.io",
    "create leases.coordination.k8s.io",
    "update leases.coordination.k8s.io",
];

/// A row of the list for one verb: the verb, the resource with its group, and the resource by itself.
#[derive(Clone, Debug)]
pub struct Permission {
    pub verb: String,
    qualified: String,
    pub group: String,
    pub resource: String,
}

fn permissions() -> Vec<Permission> {
    of_list(PERMISSIONS)
}

pub fn of_list(list: &str) -> Vec<Permission> {
    list.lines().filter(|row| !row.starts_with('#')).flat_map(of_row).collect()
}

/// `WHERE RESOURCE.GROUP/SUBRESOURCE [NAMES] [VERBS]`
fn of_row(row: &str) -> Vec<Permission> {
    let qualified = row.split(' ').nth(1).expect("the second word is the resource").to_owned();
    let verbs = row.rsplit_once('[').expect("the verbs come last").1.trim_end_matches(']');
    let (whole, subresource) = qualified
        .split_once('/')
        .map_or((qualified.as_str(), None), |(whole, sub)| (whole, Some(sub)));
    let (plural, group) = whole.split_once('.').unwrap_or((whole, ""));
    let resource = subresource.map_or_else(|| plural.to_owned(), |sub| format!("{plural}/{sub}"));
    let one = |verb: &str| Permission {
        verb: verb.to_owned(),
        qualified: qualified.clone(),
        group: group.to_owned(),
        resource: resource.clone(),
    };
    verbs.split(' ').map(one).collect()
}

impl Permission {
    /// As the API server words its refusal.
    fn refusal(&self) -> String {
        format!("cannot {} resource \"{}\"", self.verb, self.resource)
    }

    fn is(&self, verb: &str, resource: &str) -> bool {
        self.verb == verb && self.resource == resource
    }

    fn is_needed_by_all(&self) -> bool {
        NEEDED_BY_ALL.contains(&format!("{} {}", self.verb, self.qualified).as_str())
    }

    /// Leaves it out of the rules of a role.
    pub fn take_from(&self, rules: &mut Vec<PolicyRule>) {
        for rule in rules.iter_mut() {
            let mut resources = rule.resources.iter().flatten();
            if resources.any(|resource| *resource == self.resource) {
                rule.verbs.retain(|verb| *verb != self.verb);
            }
        }
        // A rule needs a verb.
        rules.retain(|rule| !rule.verbs.is_empty());
    }

    /// Waits until the log or a condition says that it is missing.
    pub async fn is_named<E>(&self, stage: &Stage<E>, operator: &Operator) {
        let words = self.refusal();
        wait::until_ok("it says what is missing", PATIENCE, || async {
            let objects = stage.credentials().list(&ListParams::default()).await;
            let objects = objects.map_err(|error| error.to_string())?;
            let told = objects.items.iter().any(|object| {
                object.data["status"].to_string().replace("\\\"", "\"").contains(&words)
            });
            let logged = operator.log().replace("\\\"", "\"").contains(&words);
            if told || logged { Ok(()) } else { Err(words.clone()) }
        })
        .await;
    }
}

/// Waits until the target of the credential `n` holds another token twice.
pub async fn is_renewed_twice<E>(stage: &Stage<E>) {
    for _ in 0..2 {
        let before = stage.target("n").await;
        wait::until_ok("the other credential is renewed", PATIENCE, || async {
            let now = stage.target("n").await;
            let turned = now.contains_key("access_token") && now != before;
            if turned { Ok(()) } else { Err(format!("{:?}", now.keys())) }
        })
        .await;
    }
}

/// A release of the chart, limited to its own namespace, that lacks one permission.
struct Release {
    stage: Stage,
    rights: OperatorRights,
    permission: Permission,
    whole: Vec<Role>,
}

impl Release {
    async fn without(env: Arc<Env>, permission: Permission) -> Self {
        Self::with_values_without(env, &[], permission).await
    }

    async fn with_values_without(env: Arc<Env>, more: &[&str], permission: Permission) -> Self {
        let stage = Stage::new(env, "permission").await;
        let watched = format!("watchNamespaces={{{}}}", stage.namespace);
        let values = [&[watched.as_str()], more].concat();
        let control_plane = &stage.env.control_plane;
        let rights =
            chart::install_operator_rights_with(control_plane, &stage.namespace, &values).await;
        let roles: Api<Role> = Api::namespaced(stage.client.clone(), &stage.namespace);
        let whole = roles.list(&ListParams::default()).await.expect("roles can be listed").items;
        let release = Self { stage, rights, permission, whole };
        let take = |role: &mut Role| {
            if let Some(rules) = role.rules.as_mut() {
                release.permission.take_from(rules);
            }
        };
        release.write(take, false).await;
        release
    }

    async fn give_back(&self) {
        self.write(|_| (), true).await;
    }

    async fn write(&self, change: impl Fn(&mut Role), allowed: bool) {
        let roles: Api<Role> = Api::namespaced(self.stage.client.clone(), &self.stage.namespace);
        for role in &self.whole {
            let name = role.metadata.name.clone().unwrap_or_default();
            let mut role = role.clone();
            change(&mut role);
            role.metadata.resource_version = None;
            let written = roles.replace(&name, &PostParams::default(), &role).await;
            written.unwrap_or_else(|error| panic!("{name} can't be written: {error}"));
        }
        let Permission { verb, group, resource, .. } = &self.permission;
        // The Lease may be used by its name only.
        let named = resource == "leases" && verb != "create";
        let name = if named { self.rights.lease_name.as_str() } else { "" };
        let account = format!(
            "system:serviceaccount:{}:{}",
            self.stage.namespace, self.rights.service_account
        );
        Right::new(verb, group, resource, name)
            .wait_until_allowed(&self.stage, &account, allowed)
            .await;
    }

    fn options(&self) -> OperatorOptions {
        let binary = env!("CARGO_BIN_EXE_oauth-keeper");
        OperatorOptions::new(binary, &self.rights.kubeconfig)
            .namespace(&self.stage.namespace)
            .arg("--lease-name")
            .arg(&self.rights.lease_name)
    }

    /// Not waited for until it is ready, which it may never be.
    async fn operator(&self) -> Watched {
        Watched::new(Operator::start(self.options()).await)
    }
}

async fn check(env: Arc<Env>, permission: Permission) {
    let release = Release::without(env, permission.clone()).await;
    let stage = &release.stage;
    let server = server(Duration::from_secs(4)).await;
    // Before the operator: without the right to watch it sees what is there at its start.
    let provider = serde_json::json!({"tokenEndpoint": server.token_endpoint()});
    providers::apply(stage, "OAuthProvider", "p", &provider).await.expect("it is valid");
    let by_name = providers::by_name("c", "OAuthProvider", "p");
    stage.refreshing("c", &server, quick(by_name)).await;
    stage.asking("n", &server, quick(spec("n", &server.token_endpoint()))).await;
    let mut operator = release.operator().await;
    let at_the_end = permission.is("delete", "secrets");
    if at_the_end {
        stage.ready("c").await;
        let deleted = stage.credentials().delete("c", &DeleteParams::default()).await;
        deleted.expect("it can be deleted");
    }
    permission.is_named(stage, &operator).await;
    if !permission.is_needed_by_all() {
        is_renewed_twice(stage).await;
    }

    release.give_back().await;
    if operator.try_exit().is_some() {
        // As its pod would: a leader that can't renew its Lease ends.
        operator = release.operator().await;
    }
    operator.ready().await;
    if at_the_end {
        stage.gone("c").await;
    } else {
        stage.ready("c").await;
    }
    is_renewed_twice(stage).await;
    assert_eq!(server.counts().refusals, 0, "{permission:?}");
}

async fn check_all(env: Arc<Env>, which: impl Fn(&Permission) -> bool) {
    for permission in permissions().into_iter().filter(which) {
        check(Arc::clone(&env), permission).await;
    }
}

pub async fn on_credentials_are_named_when_missing(env: Arc<Env>) {
    check_all(env, |permission| permission.group == "oauth-keeper.dev").await;
}

pub async fn on_secrets_are_named_when_missing(env: Arc<Env>) {
    check_all(env, |permission| permission.resource == "secrets").await;
}

pub async fn on_the_rest_are_named_when_missing(env: Arc<Env>) {
    check_all(env, |permission| {
        permission.group != "oauth-keeper.dev"
            && !["secrets", "pods"].contains(&permission.resource.as_str())
    })
    .await;
}

/// It is used only to see whether the pod is still there whose process began an exchange.
pub async fn on_pods_are_named_when_missing(env: Arc<Env>) {
    let permission = permissions().into_iter().find(|permission| permission.is("get", "pods"));
    let release = Release::without(env, permission.expect("it is in the list")).await;
    let stage = &release.stage;
    let mut gate = Gate::start().await;
    let pod = |name: &str| {
        let options = release.options().arg("--leader-election=false");
        let options = options.env("POD_NAMESPACE", &stage.namespace);
        options.env("POD_UID", name).env("POD_NAME", name)
    };
    let first = started(pod("first")).await;
    first_exchange(stage, &mut gate).await;
    second_exchange(stage, &mut gate).await;
    first.kill();
    gate.answer(Answer::close());

    let second = started(pod("second")).await;
    release.permission.is_named(stage, &second).await;
    assert_eq!(gate.more_arrivals(), 0, "the first pod may be at it");
    release.give_back().await;
    tokio::time::timeout(PATIENCE, gate.arrival()).await.expect("there is no such pod");
    gate.answer(rotated("access-2", "refresh-2", HOUR));
    wait::until_ok("it is renewed", SOON, || async {
        let target = stage.target("c").await;
        if target.get("access_token").is_some_and(|token| token == "access-2") {
            Ok(())
        } else {
            Err(format!("{:?}", target.keys()))
        }
    })
    .await;
}
