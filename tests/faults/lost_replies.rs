//! The API server carries a write out, and its reply is lost: the write is read back and neither missed nor repeated.

use std::sync::Arc;

use oauth_keeper_test_support::http_server::RecordedRequest;
use oauth_keeper_test_support::lossy_api::LossyApi;
use oauth_keeper_test_support::suite::Env;

use crate::pod::Pod;
use crate::scene::Scene;
use crate::stage::{HOUR, Stage, state_of, target_of};
use crate::table;

/// A write of an exchange: the first of these requests.
struct Write {
    name: &'static str,
    is: fn(&RecordedRequest) -> bool,
}

fn is_dry(request: &RecordedRequest) -> bool {
    request.target.contains("dryRun")
}

fn body(request: &RecordedRequest) -> String {
    String::from_utf8_lossy(&request.body).into_owned()
}

fn patches(request: &RecordedRequest, secret: &str) -> bool {
    request.method == "PATCH" && !is_dry(request) && request.path().ends_with(secret)
}

fn creates(request: &RecordedRequest, secret: &str) -> bool {
    let named = format!("\"name\":\"{secret}\"");
    request.method == "POST" && !is_dry(request) && body(request).contains(&named)
}

const WRITES: [Write; 7] = [
    Write { name: "first-claim", is: |request| creates(request, &state_of("c")) },
    Write {
        name: "first-commit",
        is: |request| patches(request, &state_of("c")) && body(request).contains("\"record\":\""),
    },
    Write {
        name: "claim",
        is: |request| patches(request, &state_of("c")) && body(request).contains("\"claim\":\""),
    },
    Write {
        name: "commit",
        // The second one; the generation is in an annotation.
        is: |request| {
            patches(request, &state_of("c"))
                && body(request).contains("oauth-keeper.dev/revision\":\"2\"")
        },
    },
    Write { name: "first-target", is: |request| creates(request, &target_of("c")) },
    Write { name: "target", is: |request| patches(request, &target_of("c")) },
    Write {
        name: "status",
        is: |request| request.method == "PATCH" && request.path().ends_with("/status"),
    },
];

/// A pod on a way to the API server that loses replies.
async fn lossy(stage: &Stage) -> (LossyApi, Pod) {
    let rights = &stage.env.operator;
    let api =
        LossyApi::start(&stage.env.control_plane, &rights.kubeconfig, &rights.namespace).await;
    let pod = Pod::on_the_way(stage, "first", api.kubeconfig());
    (api, pod)
}

pub async fn a_write_whose_reply_is_lost_is_neither_missed_nor_repeated(env: Arc<Env>) {
    table::all(WRITES.map(|write| {
        let env = Arc::clone(&env);
        let case = async move {
            let scene = Scene::strict(env, &format!("lost-{}", write.name), HOUR).await;
            let (api, pod) = lossy(&scene.stage).await;
            let operator = pod.container().await;
            let mut lost = false;
            api.lose(move |request| {
                let loses = !lost && (write.is)(request);
                lost |= loses;
                loses
            });
            scene.begins().await;
            scene.renew().await;
            scene.goes_on(&operator, 2).await;
            assert_eq!(api.lost().len(), 1);
            assert_eq!(scene.requests(), 2);
            assert_eq!(pod.journal(), [""; 0]);
        };
        table::case(write.name, case)
    }))
    .await;
}

/// Every other write of a Secret is answered into the void.
pub async fn with_half_of_all_replies_lost_no_token_is_used_twice(env: Arc<Env>) {
    let scene = Scene::strict(env, "lost-half", HOUR).await;
    let (api, pod) = lossy(&scene.stage).await;
    let operator = pod.container().await;
    let mut writes = 0;
    api.lose(move |request| {
        let is_write = request.method != "GET" && request.path().contains("/secrets");
        writes += usize::from(is_write);
        is_write && writes % 2 == 0
    });
    scene.begins().await;
    for revision in 2..=4 {
        scene.renew().await;
        scene.stage.revision("c", revision).await;
    }
    assert!(api.lost().len() >= 4);
    api.lose(|_| false);
    scene.goes_on(&operator, 4).await;
    assert_eq!(scene.requests(), 4);
}
