//! The API server goes away with an answer on its way. These tests run alone.

use std::sync::Arc;

use oauth_keeper_test_support::suite::Env;

use crate::scene::Scene;
use crate::sizes::sizes;
use crate::stage::HOUR;
use crate::story::{NOT_COMMITTED, logged, mended};

pub async fn an_answer_outlives_the_api_server_and_then_its_container(env: Arc<Env>) {
    let scene = Scene::strict(env, "outage", HOUR).await;
    let operator = scene.pod.container().await;
    scene.begins().await;
    scene.answered().await;
    let control_plane = &scene.stage.env.control_plane;
    control_plane.kill_api_server().await;
    let cut_off = async {
        scene.proxy.release();
        logged(&operator, NOT_COMMITTED).await;
        // Nothing to wait for: time itself is the fault.
        tokio::time::sleep(sizes().outage).await;
        operator.kill();
        assert_eq!(scene.pod.journal().len(), 1);
    };
    mended(cut_off, control_plane.start_api_server()).await;

    let operator = scene.pod.container().await;
    scene.goes_on(&operator, 2).await;
    assert_eq!(scene.requests(), 2);
    assert_eq!(scene.pod.journal(), [""; 0]);
}
