//! How many writes a renewal costs the API server, seen by a watch on each object.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::Resource;
use kube::api::{WatchEvent, WatchParams};
use kube::core::DynamicObject;
use oauth_keeper_test_support::suite::Env;

use crate::stage::{Stage, quick, server, spec};

const RENEWALS: i64 = 3;

pub async fn a_renewal_costs_two_writes_or_four(env: Arc<Env>) {
    let stage = Stage::new(env, "writes").await;
    let server = server(Duration::from_secs(3)).await;
    let _operator = stage.operator().await;
    stage.refreshing("r", &server, quick(spec("r", &server.token_endpoint()))).await;
    let spent = writes(&stage, "r").await;
    let expected = [("r", 1), ("r-oauth-state", 2), ("r-target", 1)];
    assert_eq!(spent, expected.map(|(name, each)| (name.to_owned(), each * RENEWALS)).into());

    stage.asking("a", &server, quick(spec("a", &server.token_endpoint()))).await;
    let spent = writes(&stage, "a").await;
    let expected = [("a", 1), ("a-target", 1)];
    assert_eq!(spent, expected.map(|(name, each)| (name.to_owned(), each * RENEWALS)).into());
}

/// Writes of a credential and its Secrets, by name, between one status of a renewal and the one
/// three renewals later.
async fn writes(stage: &Stage, name: &str) -> BTreeMap<String, i64> {
    let status = stage.ready(name).await;
    let first = status["target"]["revision"].as_i64().expect("it is ready");
    let (first, last) = (first + 1, first + 1 + RENEWALS);
    let seen = stage.credentials().get(name).await.expect("it exists");
    let version = seen.metadata.resource_version.expect("it has one");
    let params = WatchParams::default();
    let credentials = stage.credentials().watch(&params, &version).await;
    let secrets = stage.secrets().watch_metadata(&params, &version).await;
    let mut credentials = credentials.expect("it can be watched").boxed();
    let mut secrets = secrets.expect("they can be watched").boxed();

    let mut statuses: Vec<(u64, Option<i64>)> = Vec::new();
    // One renewal more, so that no write up to the last of interest is still on its way.
    while statuses.last().is_none_or(|(_, revision)| *revision <= Some(last)) {
        let object: DynamicObject = changed(&mut credentials, name).await;
        let revision = object.data["status"]["target"]["revision"].as_i64();
        statuses.push((number(&object), revision));
    }
    let at = |wanted| {
        let mut statuses = statuses.iter();
        statuses.find(|(_, revision)| *revision == Some(wanted)).expect("it was seen").0
    };
    let between = at(first) + 1..=at(last);
    let mut writes = BTreeMap::new();
    let credential_writes = statuses.iter().filter(|(number, _)| between.contains(number)).count();
    writes.insert(name.to_owned(), i64::try_from(credential_writes).expect("few"));
    loop {
        let secret = changed(&mut secrets, name).await;
        if number(&secret) > *between.end() {
            return writes;
        }
        if between.contains(&number(&secret)) {
            let name = secret.metadata.name.unwrap_or_default();
            *writes.entry(name).or_default() += 1;
        }
    }
}

/// The next change of an object whose name begins so.
async fn changed<K>(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin),
    name: &str,
) -> K
where
    K: Resource + Clone,
{
    loop {
        let event = events.next().await.expect("the watch goes on for minutes");
        if let Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) = event
            && object.meta().name.as_deref().unwrap_or_default().starts_with(name)
        {
            return object;
        }
    }
}

fn number(object: &impl Resource) -> u64 {
    let version = object.meta().resource_version.as_deref();
    version.and_then(|version| version.parse().ok()).expect("it is a number here")
}
