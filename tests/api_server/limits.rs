//! Servers that fail, servers that bear little, and many credentials on one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use oauth_keeper_test_support::credentials;
use oauth_keeper_test_support::http_server::{Answer, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::gate::rotated;
use crate::stage::{
    HOUR, SOON, Stage, client_credentials, eager, quick, source_of, spec, started, with,
};
use crate::story::SEED;

const KEYS: [(&str, &str); 2] = [("client_id", "i"), ("client_secret", "s")];
const BROKEN: usize = 200;
const MANY: usize = 300;
const NAMESPACES: usize = 20;
/// A quarter of `--concurrency`, less what one namespace leaves to others.
const AT_A_HOST: usize = 7;

/// One server for all: broken at one path, quick and good at the other.
async fn half_broken() -> ScriptedServer {
    let server = ScriptedServer::start().await;
    server.answer_with(|request| match request.target.as_str() {
        "/broken" => Answer::status(503).after(Duration::from_secs(1)),
        _ => Answer::json(200, &json!({"access_token": "a", "expires_in": 4})),
    });
    server
}

fn requests_to(server: &ScriptedServer, path: &str) -> usize {
    server.requests().iter().filter(|request| request.target == path).count()
}

pub async fn a_flood_of_broken_credentials_delays_no_other_namespace(env: Arc<Env>) {
    let noisy = Stage::new(Arc::clone(&env), "noisy").await;
    let quiet = Stage::new(env, "quiet").await;
    let server = half_broken().await;
    let mut options = noisy
        .options()
        .env("OAUTH_KEEPER_NAMESPACE", &format!("{},{}", noisy.namespace, quiet.namespace));
    options.namespaces.clear();
    let operator = started(options).await;
    noisy.source(&source_of("c"), &KEYS).await;
    for at in 0..BROKEN {
        let name = format!("c{at}");
        let broken = spec(&name, &server.url("/broken"));
        let broken = with(broken, json!({"source": {"name": source_of("c")}}));
        noisy.credential(&name, client_credentials(eager(broken))).await;
    }
    quiet.source(&source_of("good"), &KEYS).await;
    let good = quick(spec("good", &server.url("/good")));
    quiet.credential("good", client_credentials(good)).await;
    let status = quiet.ready("good").await;
    let revision = status["target"]["revision"].as_i64().unwrap_or_default();

    // All the others wait, and say for what.
    let mut held = 0;
    for at in 0..BROKEN {
        let name = format!("c{at}");
        let message = noisy.condition(&name, "Ready", "False", "ServerError").await;
        held += usize::from(message.contains("held back"));
    }
    assert!(held > BROKEN / 2, "{held}");
    // A token of four seconds is renewed each three, whatever happens elsewhere.
    quiet.revision("good", revision + 4).await;
    let metrics = operator.metrics().await;
    let late: Vec<&str> =
        metrics.lines().filter(|line| line.contains("renewal_lateness_seconds_bucket")).collect();
    let count = |bound: &str| {
        let line = late.iter().find(|line| line.contains(&format!("le=\"{bound}\"")));
        line.and_then(|line| line.rsplit(' ').next()).map(ToOwned::to_owned)
    };
    assert!(count("+Inf").is_some());
    assert_eq!(count("2.0"), count("+Inf"), "no renewal was later than two seconds: {late:?}");
    // Five that fail, those that began beside them, and a trial now and then.
    let tried = requests_to(&server, "/broken");
    assert!(tried < 40, "{tried}");
    let before = noisy.versions().await;
    quiet.revision("good", revision + 6).await;
    let after = noisy.versions().await;
    let written =
        after.iter().filter(|(name, version)| before.get(*name) != Some(*version)).count();
    assert!(written < 20, "{written} writes while nothing changed");
}

pub async fn when_a_host_is_back_all_that_waited_go_on(env: Arc<Env>) {
    let stage = Stage::new(env, "back").await;
    let server = ScriptedServer::start().await;
    server.always(Answer::status(503));
    let _operator = stage.operator().await;
    stage.source(&source_of("c"), &KEYS).await;
    for at in 0..20 {
        let name = format!("c{at}");
        let spec =
            with(spec(&name, &server.url("/t")), json!({"source": {"name": source_of("c")}}));
        stage.credential(&name, client_credentials(eager(spec))).await;
    }
    for at in 0..20 {
        stage.condition(&format!("c{at}"), "Ready", "False", "ServerError").await;
    }
    // One that is sent elsewhere does not wait.
    let fine = ScriptedServer::start().await;
    let good = Answer::json(200, &json!({"access_token": "a", "expires_in": 3600}));
    fine.always(good.clone());
    let moved = with(spec("c7", &fine.url("/t")), json!({"source": {"name": source_of("c")}}));
    stage.credential("c7", client_credentials(eager(moved))).await;
    stage.ready("c7").await;
    server.always(good);
    for at in 0..20 {
        stage.ready(&format!("c{at}")).await;
    }
}

pub async fn an_error_that_passes_by_its_code_alone_holds_others_back(env: Arc<Env>) {
    let stage = Stage::new(env, "passing").await;
    let _operator = stage.operator().await;
    stage.source(&source_of("c"), &KEYS).await;
    for grant in ["asks", "spends"] {
        let server = ScriptedServer::start().await;
        server.always(Answer::json(400, &json!({"error": "slow_down"})));
        let names: Vec<String> = (0..20).map(|at| format!("{grant}{at}")).collect();
        for name in &names {
            let spec = eager(spec(name, &server.url("/t")));
            if grant == "spends" {
                let seed = [KEYS[0], KEYS[1], ("refresh_token", name.as_str())];
                stage.source(&source_of(name), &seed).await;
                stage.credential(name, spec).await;
            } else {
                let spec = with(spec, json!({"source": {"name": source_of("c")}}));
                stage.credential(name, client_credentials(spec)).await;
            }
        }
        let mut held = 0;
        for name in &names {
            let message = stage.condition(name, "Ready", "False", "ServerError").await;
            held += usize::from(message.contains("held back"));
        }
        assert!(held > 0, "{grant}");
    }
}

pub async fn a_rate_limit_is_kept(env: Arc<Env>) {
    let stage = Stage::new(env, "limited").await;
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &json!({"access_token": "a", "expires_in": 3600})));
    let _operator = stage.operator().await;
    stage.source(&source_of("c"), &KEYS).await;
    for at in 0..7 {
        let name = format!("c{at}");
        let spec =
            with(spec(&name, &server.url("/t")), json!({"source": {"name": source_of("c")}}));
        // One of them gives the limit, for all.
        let limit = json!({"provider": {"rateLimit": {"requests": 2, "per": "3s"}}});
        let spec = if at == 0 { with(spec, limit) } else { spec };
        stage.credential(&name, client_credentials(spec)).await;
        if at == 0 {
            stage.ready(&name).await;
        }
    }
    let requests = server.wait_for_requests(7, SOON).await;
    let times: Vec<_> = requests.iter().map(|request| request.at).collect();
    for window in times.windows(3) {
        assert!(window[2] - window[0] >= Duration::from_secs(3), "{times:?}");
    }
    wait::until("all are ready", SOON, || async {
        let status = stage.status("c6").await;
        status["target"]["revision"].as_i64()
    })
    .await;
}

/// How many requests stand at a server at once, and the most that did.
#[derive(Default)]
struct AtOnce {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl AtOnce {
    fn begin(self: &Arc<Self>) -> Standing {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Standing(Arc::clone(self))
    }

    /// The most since the last call.
    fn take_most(&self) -> usize {
        self.most.swap(self.now.load(Ordering::SeqCst), Ordering::SeqCst)
    }
}

/// One of them, until its answer goes out.
struct Standing(Arc<AtOnce>);

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A server that is down, until it is up.
struct Outage {
    server: ScriptedServer,
    at_once: Arc<AtOnce>,
    is_up: Arc<AtomicBool>,
}

impl Outage {
    async fn start() -> Self {
        let server = ScriptedServer::start().await;
        let (at_once, is_up) = (Arc::new(AtOnce::default()), Arc::new(AtomicBool::new(false)));
        let (counted, up) = (Arc::clone(&at_once), Arc::clone(&is_up));
        server.answer_when(move |_| {
            let standing = counted.begin();
            let answer = if up.load(Ordering::SeqCst) {
                Answer::json(200, &json!({"access_token": "a", "expires_in": 3600}))
            } else {
                Answer::status(503)
            };
            async move {
                // So that those that come together meet.
                tokio::time::sleep(Duration::from_millis(50)).await;
                drop(standing);
                answer
            }
        });
        Self { server, at_once, is_up }
    }
}

/// After a restart, in an outage and when it is over.
pub async fn many_due_at_once_do_not_rush_to_their_host(env: Arc<Env>) {
    let stage = Stage::new(env, "rush").await;
    let Outage { server, at_once, is_up } = Outage::start().await;
    stage.source(&source_of("c"), &KEYS).await;
    let names: Vec<String> = (0..MANY).map(|at| format!("c{at}")).collect();
    for name in &names {
        let spec = with(spec(name, &server.url("/t")), json!({"source": {"name": source_of("c")}}));
        stage.credential(name, client_credentials(eager(spec))).await;
    }
    // All are there before it starts.
    let _operator = stage.operator().await;
    // Not all of them say so, since they do little by little.
    wait::until("some say that they wait", SOON, || async {
        let all = stage.credentials().list(&ListParams::default()).await.ok()?;
        let ready = |one: &DynamicObject| {
            credentials::condition(&one.data["status"], "Ready")["reason"].clone()
        };
        let told = all.iter().filter(|one| ready(one) == "ServerError").count();
        (told >= 20).then_some(())
    })
    .await;
    assert!(at_once.take_most() <= AT_A_HOST);
    let tried = server.requests().len();
    assert!(tried < 40, "{tried} requests of {MANY} that were due");
    server.wait_for_requests(tried + 1, SOON).await;
    assert_eq!(at_once.take_most(), 1, "one tries whether the server is back");

    is_up.store(true, Ordering::SeqCst);
    for name in &names {
        stage.ready(name).await;
    }
    assert!(at_once.take_most() <= AT_A_HOST);
    let answered = server.requests().len() - tried;
    assert!(answered < MANY + 10, "{answered} requests for {MANY} tokens");
}

/// Each of them fails once or twice, which is no reason to hold it back by itself.
pub async fn many_namespaces_of_one_credential_do_not_rush_either(env: Arc<Env>) {
    let Outage { server, at_once, is_up } = Outage::start().await;
    let mut stages = Vec::new();
    for at in 0..NAMESPACES {
        let stage = Stage::new(Arc::clone(&env), &format!("rush-{at}")).await;
        stage.source("c-source", &KEYS).await;
        stage.credential("c", client_credentials(eager(spec("c", &server.url("/t"))))).await;
        stages.push(stage);
    }
    let names: Vec<&str> = stages.iter().map(|stage| stage.namespace.as_str()).collect();
    let mut options = stages[0].options().env("OAUTH_KEEPER_NAMESPACE", &names.join(","));
    options.namespaces.clear();
    let operator = started(options).await;
    let mut held = 0;
    for stage in &stages {
        let message = stage.condition("c", "Ready", "False", "ServerError").await;
        held += usize::from(message.contains("held back"));
    }
    assert!(held > NAMESPACES / 2, "{held}");
    assert!(at_once.take_most() <= AT_A_HOST + 1);
    let tried = server.requests().len();
    assert!(tried < 12, "{tried} requests of {NAMESPACES} that were due");
    // What failed is due again meanwhile.
    server.wait_for_requests(tried + 2, SOON).await;
    assert_eq!(at_once.take_most(), 1, "one tries whether the server is back");
    assert!(server.requests().len() < tried + 5);

    is_up.store(true, Ordering::SeqCst);
    let before = server.requests().len();
    for stage in &stages {
        stage.ready("c").await;
    }
    assert!(at_once.take_most() <= AT_A_HOST + 1);
    let answered = server.requests().len() - before;
    assert!(answered < NAMESPACES + 5, "{answered} requests for {NAMESPACES} tokens");
    drop(operator);
}

/// Its server takes the token again only for a while.
pub async fn a_repeat_in_its_window_waits_for_nothing(env: Arc<Env>) {
    let stage = Stage::new(env, "window").await;
    let server = ScriptedServer::start().await;
    server.queue(Answer::close());
    server.always(rotated("access", "refresh-2", HOUR));
    let _operator = stage.operator().await;
    stage.source("c-source", &SEED).await;
    let limit = json!({"requests": 1, "per": "1h"});
    let provider = json!({"provider": {"reuseGrace": "60s", "rateLimit": limit}});
    stage.credential("c", with(eager(spec("c", &server.url("/token"))), provider)).await;
    stage.ready("c").await;
    assert_eq!(server.requests().len(), 2);
}
