//! Journals that are not as their process left them: an answer that can't be read is no reason to send the token again.

use std::sync::Arc;

use oauth_keeper_test_support::credentials::condition;
use oauth_keeper_test_support::suite::Env;
use serde_json::json;

use crate::oracle::{self, Loss};
use crate::process::killed;
use crate::scene::{SHORT, Scene};
use crate::stage::{Neighbour, Watched, quick, source_of, spec};
use crate::table;

/// A credential whose answer is in the journal and nowhere else, with the file.
async fn journaled(env: Arc<Env>, name: &str) -> (Scene, String) {
    let scene = Scene::strict(env, name, SHORT).await;
    let operator = scene.pod.failing("journaled:kill:1").await;
    scene.made().await;
    killed(&operator).await;
    let mut files = scene.pod.journal();
    assert_eq!(files.len(), 1, "{files:?}");
    let file = files.remove(0);
    (scene, file)
}

fn position(bytes: &[u8], what: &[u8]) -> usize {
    let found = bytes.windows(what.len()).rposition(|window| window == what);
    found.expect("the answer has it")
}

/// Where the refresh token of the answer ends, with its quote.
fn token_end(bytes: &[u8]) -> usize {
    const BEFORE: &[u8] = b"\"refresh_token\":\"";
    let begin = position(bytes, BEFORE) + BEFORE.len();
    let length = bytes[begin..].iter().position(|byte| *byte == b'"');
    begin + length.expect("it ends") + 1
}

pub async fn a_journal_cut_behind_the_refresh_token_is_as_good_as_whole(env: Arc<Env>) {
    let (scene, file) = journaled(env, "cut").await;
    let bytes = std::fs::read(&file).expect("it can be read");
    std::fs::write(&file, &bytes[..token_end(&bytes)]).expect("it can be written");
    let operator = scene.pod.container().await;
    scene.goes_on(&operator, 3).await;
}

/// How much of a journal is left.
type Length = fn(&[u8]) -> usize;

pub async fn a_journal_that_lost_the_answer_holds_the_token_back(env: Arc<Env>) {
    let lost: [(&str, Length); 4] = [
        ("empty", |_| 0),
        ("entry", |bytes| bytes.iter().position(|byte| *byte == b'\n').expect("a line") / 2),
        ("head", |bytes| position(bytes, b"\n") - 5),
        ("token", |bytes| token_end(bytes) - 2),
    ];
    table::all(lost.map(|(name, length)| {
        let env = Arc::clone(&env);
        let case = async move {
            let (scene, file) = journaled(env, name).await;
            let bytes = std::fs::read(&file).expect("it can be read");
            std::fs::write(&file, &bytes[..length(&bytes)]).expect("it can be written");
            let _operator = scene.pod.container().await;
            scene.stage.condition("c", "Ready", "True", "ExchangeOutcomeUnknown").await;
            assert_eq!(scene.requests(), 2);
            // What was cut off was the only copy.
            let cause = Loss::DeathBeforeTheJournalWrite;
            oracle::is_lost(&scene.stage, "c", &scene.server, cause).await;
        };
        table::case(name, case)
    }))
    .await;
}

/// A credential whose answer is in a journal that only another release can read, and the operator that found it.
async fn of_another_release(env: Arc<Env>, name: &str) -> (Scene, String, String, Watched) {
    let (scene, file) = journaled(env, name).await;
    let text = std::fs::read_to_string(&file).expect("it can be read");
    let later = text.replacen("\"version\":1", "\"version\":9", 1);
    std::fs::write(&file, &later).expect("it can be written");
    let operator = scene.pod.container().await;
    let held = scene.stage.status_that("c", "it is held back", |status| {
        condition(status, "Ready")["reason"] == "JournalNotReadable"
    });
    let held = held.await;
    let message = condition(&held, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(&file) && message.contains("format 9"), "{message}");
    let metrics = operator.metrics().await;
    assert!(metrics.contains("oauth_keeper_journal_files_not_read 1\n"), "{metrics}");
    (scene, file, text, operator)
}

/// It is settled by the release that wrote it.
pub async fn a_journal_of_another_release_holds_back_its_credential_and_no_other(env: Arc<Env>) {
    let (scene, file, text, operator) = of_another_release(env, "release").await;
    let other = quick(spec("d", &scene.server.token_endpoint()));
    scene.stage.refreshing("d", &scene.server, other).await;
    scene.stage.revision("d", 2).await;
    assert!(operator.stop().await.success());
    assert_eq!(scene.pod.journal(), std::slice::from_ref(&file));
    std::fs::write(&file, text).expect("it can be written");
    let operator = scene.pod.container().await;
    scene.goes_on(&operator, 3).await;
}

/// The old refresh token is tried again at the end of the hold, as after any lost answer.
pub async fn a_journal_that_is_given_up_is_an_answer_that_was_lost(env: Arc<Env>) {
    let (scene, file, _, _operator) = of_another_release(env, "given-up").await;
    assert_eq!(scene.requests(), 2);
    std::fs::remove_file(file).expect("it is there");
    oracle::is_lost(&scene.stage, "c", &scene.server, Loss::DeathBeforeTheJournalWrite).await;
}

/// One whose exchange is not the one in the state holds nobody back, and stays: what is in the state holds.
pub async fn a_journal_that_the_state_is_past_holds_nobody_back(env: Arc<Env>) {
    let (scene, file, _, operator) = of_another_release(env, "past").await;
    assert_eq!(scene.requests(), 2);
    let earlier = format!("{}.journal", uuid::Uuid::nil());
    let moved = std::path::Path::new(&file).with_file_name(earlier);
    let text = std::fs::read(&file).expect("it can be read");
    assert!(operator.stop().await.success());
    std::fs::remove_file(file).expect("it is there");
    std::fs::write(&moved, text).expect("it can be written");
    let operator = scene.pod.container().await;
    oracle::is_lost(&scene.stage, "c", &scene.server, Loss::DeathBeforeTheJournalWrite).await;
    assert!(moved.exists());
    let metrics = operator.metrics().await;
    assert!(metrics.contains("oauth_keeper_journal_files_not_read 0\n"), "{metrics}");
}

/// The old refresh token is not sent again, nor is the file thrown away.
pub async fn a_new_seed_needs_no_journal_that_can_not_be_read(env: Arc<Env>) {
    let (scene, file, _, operator) = of_another_release(env, "new-seed").await;
    let neighbour = Neighbour::on(&scene.stage).await;
    // What is in the source already, written once more, is no new one.
    let keys = json!({"metadata": {"labels": {"touched": "yes"}}});
    scene.stage.edit_secret(&source_of("c"), &keys).await;
    neighbour.renewed_twice(&scene.stage).await;
    let status = scene.stage.status("c").await;
    assert_eq!(condition(&status, "Ready")["reason"], "JournalNotReadable");
    assert_eq!(scene.requests(), 2);

    let seed = scene.server.seed();
    scene.sign_in(&seed).await;
    oracle::goes_back_to(&scene.stage, "c", &scene.server, &seed).await;
    let metrics = operator.metrics().await;
    assert!(metrics.contains("oauth_keeper_journal_files_not_read 0\n"), "{metrics}");
    let text = std::fs::read(&file).expect("it is there still");
    assert!(!text.is_empty());
    assert!(operator.stop().await.success());
    oracle::nothing_is_lost(&scene.stage, "c", &scene.server).await;
    assert_eq!(scene.server.counts().reuses, 0);
}

/// Its state is left as it is, and that of the other is not written with what is not its own.
pub async fn a_journal_of_another_credential_is_of_no_use(env: Arc<Env>) {
    let (scene, file) = journaled(env, "other").await;
    let text = std::fs::read(&file).expect("it can be read");
    let line = text.iter().position(|byte| *byte == b'\n').expect("a line");
    let mut entry: serde_json::Value = serde_json::from_slice(&text[..line]).expect("it is JSON");
    // As if it were of a credential `d`, which has a state of its own.
    entry["credential"] = "d".into();
    entry["state"] = "d-oauth-state".into();
    let mut moved = entry.to_string().into_bytes();
    moved.extend(&text[line..]);
    std::fs::write(&file, moved).expect("it can be written");
    let without = crate::pod::Pod::mortal(&scene.stage, "second");
    let operator = without.container().await;
    let seed = scene.server.seed();
    let secret = scene.server.client_secret("d");
    let keys = [("client_id", "d"), ("client_secret", &secret), ("refresh_token", &seed)];
    scene.stage.source("d-source", &keys).await;
    let endpoint = scene.server.token_endpoint();
    scene.stage.credential("d", crate::stage::eager(crate::stage::spec("d", &endpoint))).await;
    scene.stage.ready("d").await;
    assert!(operator.stop().await.success());
    let before = oracle::newest(&scene.stage, "d").await;

    let _operator = scene.pod.container().await;
    assert_eq!(oracle::newest(&scene.stage, "d").await, before);
    assert_eq!(scene.pod.journal(), [""; 0]);
    oracle::is_lost(&scene.stage, "c", &scene.server, Loss::PodLossBeforeTheCommit).await;
}
