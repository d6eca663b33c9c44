//! Wall clocks that are set, by an hour, forward and back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oauth_keeper_test_support::operator::Operator;
use oauth_keeper_test_support::suite::Env;

use crate::folder::Folder;
use crate::scene::Scene;
use crate::stage::{HOUR, Neighbour, Stage};

const AN_HOUR: i64 = 3600;
/// Renewed each three seconds.
const LIFETIME: Duration = Duration::from_secs(10);
/// For two renewals, on a busy machine.
const TWO_RENEWALS: Duration = Duration::from_secs(20);

/// The clock of an operator.
struct Clock {
    folder: Folder,
}

impl Clock {
    fn new(stage: &Stage) -> Self {
        let clock = Self { folder: Folder::new(&format!("{}-clock", stage.namespace)) };
        clock.set(0);
        clock
    }

    fn file(&self) -> String {
        format!("{}/seconds", self.folder.text())
    }

    /// Sets it off by so many seconds, at one stroke.
    fn set(&self, seconds: i64) {
        let new = format!("{}/new", self.folder.text());
        std::fs::write(&new, seconds.to_string()).expect("it can be written");
        std::fs::rename(new, self.file()).expect("it can be replaced");
    }
}

async fn two_renewals(scene: &Scene) {
    let begun = Instant::now();
    let before = scene.server.counts().issued;
    let status = scene.stage.status("c").await;
    let revision = status["target"]["revision"].as_i64().expect("it was ready");
    scene.stage.revision("c", revision + 2).await;
    assert!(begun.elapsed() < TWO_RENEWALS, "{:?}", begun.elapsed());
    let after = scene.server.counts().issued;
    // One that was due before, two that came due, one that has come due since, and one for the clock.
    assert!(after - before <= 5, "{} requests", after - before);
}

pub async fn a_clock_set_under_a_running_operator_neither_misses_a_renewal_nor_makes_many(
    env: Arc<Env>,
) {
    let mut scene = Scene::strict(env, "clock", LIFETIME).await;
    let clock = Clock::new(&scene.stage);
    scene.pod = scene.pod.env("OAUTH_KEEPER_CLOCK_FILE", &clock.file());
    let operator = scene.pod.container().await;
    scene.begins().await;
    for seconds in [AN_HOUR, 0, -AN_HOUR, AN_HOUR, -AN_HOUR, 0] {
        clock.set(seconds);
        two_renewals(&scene).await;
    }
    scene.goes_on(&operator, 12).await;
}

pub async fn a_clock_set_between_two_runs_neither_misses_a_renewal_nor_makes_many(env: Arc<Env>) {
    let mut scene = Scene::strict(env, "clock", LIFETIME).await;
    let clock = Clock::new(&scene.stage);
    scene.pod = scene.pod.env("OAUTH_KEEPER_CLOCK_FILE", &clock.file());
    let mut operator = scene.pod.container().await;
    scene.begins().await;
    for seconds in [AN_HOUR, 0, -AN_HOUR, AN_HOUR, 0] {
        assert!(operator.stop().await.success(), "{}", operator.log());
        clock.set(seconds);
        operator = scene.pod.container().await;
        two_renewals(&scene).await;
    }
    scene.goes_on(&operator, 10).await;
}

/// Of a token that lives an hour, at most one request more for each time the clock is set.
pub async fn a_clock_that_is_set_costs_at_most_one_request_each_time(env: Arc<Env>) {
    let mut scene = Scene::strict(env, "clock", HOUR).await;
    let clock = Clock::new(&scene.stage);
    scene.pod = scene.pod.env("OAUTH_KEEPER_CLOCK_FILE", &clock.file());
    let operator = scene.pod.container().await;
    let neighbour = Neighbour::on(&scene.stage).await;
    scene.begins().await;
    for (times, seconds) in [(1, AN_HOUR), (2, 0), (3, -AN_HOUR)] {
        clock.set(seconds);
        neighbour_goes_on(&scene, &neighbour, &operator).await;
        assert!(scene.requests() <= 1 + times, "{} requests", scene.requests());
    }
    scene.goes_on(&operator, 1).await;
}

async fn neighbour_goes_on(scene: &Scene, neighbour: &Neighbour, operator: &Operator) {
    for _ in 0..2 {
        neighbour.renewed_twice(&scene.stage).await;
    }
    operator.ready().await;
}
