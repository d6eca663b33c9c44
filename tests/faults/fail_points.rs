//! SIGKILL, SIGSTOP and panic at every place between the decision to renew and the last write of the journal.

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::authorization_server::Fault;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;

use crate::oracle::{self, Loss};
use crate::pod::Pod;
use crate::process;
use crate::scene::{SHORT, Scene};
use crate::stage::Watched;
use crate::table::{self, Case};

/// Every fail point of an exchange, in its order; those of a replay are apart.
const POINTS: [&str; 11] = [
    "reserved",
    "claiming",
    "claimed",
    "sending",
    "received",
    "journaled",
    "parsing",
    "committing",
    "committed",
    "releasing",
    "freeing",
];
/// Longer than a token may be sent after its claim, which is 5 s, and than a lease lasts.
const STOPPED_FOR: Duration = Duration::from_secs(20);

/// How long the operator leaves alone what panicked.
const AFTER_A_PANIC: Duration = Duration::from_secs(60);

/// Has a container fail at that point of the second exchange; comes back when the first is done.
async fn failing(scene: &Scene, point: &str, action: &str) -> Watched {
    // Only an exchange that brings nothing is released; the first one brings something.
    let skip = u32::from(point != "releasing");
    let operator = scene.pod.failing(&format!("{point}:{action}:{skip}")).await;
    // Not until it is ready: the next exchange may come before that is said.
    scene.made().await;
    if point == "releasing" {
        scene.server.fail_next(1, Fault::Unavailable);
    }
    operator
}

/// Has a container kill itself there.
async fn killed(scene: &Scene, point: &str) {
    let operator = failing(scene, point, "kill").await;
    process::killed(&operator).await;
}

async fn is_lost_and_mended(scene: &Scene, cause: Loss) {
    oracle::is_lost(&scene.stage, "c", &scene.server, cause).await;
    let seed = scene.server.seed();
    scene.sign_in(&seed).await;
    oracle::goes_back_to(&scene.stage, "c", &scene.server, &seed).await;
}

fn cases<F>(name: &str, run: impl Fn(String, &'static str) -> F) -> [Case; 11]
where
    F: Future<Output = ()> + Send + 'static,
{
    POINTS.map(|point| table::case(point, run(format!("{name}-{point}"), point)))
}

pub async fn a_kill_at_any_point_costs_at_most_what_was_not_journaled(env: Arc<Env>) {
    table::all(cases("kill", |name, point| {
        let env = Arc::clone(&env);
        async move {
            let scene = Scene::strict(env, &name, SHORT).await;
            killed(&scene, point).await;
            let operator = scene.pod.container().await;
            if point == "received" {
                let cause = Loss::DeathBeforeTheJournalWrite;
                return is_lost_and_mended(&scene, cause).await;
            }
            scene.goes_on(&operator, 3).await;
            assert_eq!(scene.pod.journal(), [""; 0]);
        }
    }))
    .await;
}

pub async fn a_panic_at_any_point_costs_nothing(env: Arc<Env>) {
    table::all(cases("panic", |name, point| {
        let env = Arc::clone(&env);
        async move {
            let scene = Scene::strict(env, &name, SHORT).await;
            let operator = failing(&scene, point, "panic").await;
            scene.goes_on(&operator, 3).await;
            let log = operator.log();
            assert!(log.contains(&format!("fail point {point}")), "{log}");
        }
    }))
    .await;
}

pub async fn a_stop_at_any_point_costs_nothing(env: Arc<Env>) {
    table::all(cases("stop", |name, point| {
        let env = Arc::clone(&env);
        async move {
            let scene = Scene::strict(env, &name, SHORT).await;
            let operator = failing(&scene, point, "stop").await;
            process::stopped(&operator).await;
            // Nothing to wait for: time itself is the fault.
            tokio::time::sleep(STOPPED_FOR).await;
            operator.resume();
            scene.goes_on(&operator, 3).await;
        }
    }))
    .await;
}

pub async fn a_lost_pod_costs_at_most_what_was_not_committed(env: Arc<Env>) {
    table::all(cases("lost", |name, point| {
        let env = Arc::clone(&env);
        async move {
            let scene = Scene::strict(env, &name, SHORT).await;
            killed(&scene, point).await;
            let successor = Pod::mortal(&scene.stage, "second");
            let operator = successor.container().await;
            let cause = match point {
                "received" => Loss::PodLossBeforeTheJournalWrite,
                "journaled" | "parsing" | "committing" => Loss::PodLossBeforeTheCommit,
                _ => return scene.goes_on(&operator, 3).await,
            };
            is_lost_and_mended(&scene, cause).await;
        }
    }))
    .await;
}

pub async fn a_kill_of_the_container_that_replays_costs_nothing(env: Arc<Env>) {
    let case = |point: &'static str| {
        let env = Arc::clone(&env);
        let case = async move {
            let scene = Scene::strict(env, point, SHORT).await;
            killed(&scene, "journaled").await;
            // It dies before it serves anybody.
            let second = scene.pod.failing_early(&format!("{point}:kill")).await;
            process::killed(&second).await;
            assert_eq!(scene.pod.journal().len(), 1, "the answer stays until it was read again");
            let third = scene.pod.container().await;
            scene.goes_on(&third, 3).await;
            assert_eq!(scene.pod.journal(), [""; 0]);
        };
        table::case(point, case)
    };
    table::all(["replaying", "replayed"].map(case)).await;
}

pub async fn a_panic_of_the_container_that_replays_costs_nothing(env: Arc<Env>) {
    let case = |point: &'static str| {
        let env = Arc::clone(&env);
        let case = async move {
            let scene = Scene::strict(env, &format!("panic-{point}"), SHORT).await;
            killed(&scene, "journaled").await;
            let second = scene.pod.failing_early(&format!("{point}:panic")).await;
            // Until it is tried again nothing is spent, and the condition says why.
            scene.stage.condition("c", "Ready", "False", "StateNotWritable").await;
            assert_eq!(scene.pod.journal().len(), 1, "the answer stays until it was read again");
            wait::until("the answer is settled", AFTER_A_PANIC * 2, || async {
                scene.pod.journal().is_empty().then_some(())
            })
            .await;
            scene.goes_on(&second, 3).await;
        };
        table::case(point, case)
    };
    table::all(["replaying", "replayed"].map(case)).await;
}

pub async fn with_a_reuse_window_a_lost_pod_costs_nothing(env: Arc<Env>) {
    table::all(cases("window", |name, point| {
        let env = Arc::clone(&env);
        async move {
            let scene = Scene::with_window(env, &name, SHORT).await;
            killed(&scene, point).await;
            let successor = Pod::mortal(&scene.stage, "second");
            let operator = successor.container().await;
            scene.goes_on(&operator, 3).await;
        }
    }))
    .await;
}
