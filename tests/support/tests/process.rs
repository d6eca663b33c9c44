//! Processes are stopped, frozen and killed, and their ends are seen.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use oauth_keeper_test_support::process::Process;
use oauth_keeper_test_support::wait;

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> (Process, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("WORD", "word");
    let process = Process::start("bash", &command, &folder.path().join("log"));
    (process, folder)
}

async fn written(process: &Process, text: &str) {
    wait::until_ok("it is written", SOON, || async {
        let log = process.log();
        if log.contains(text) { Ok(()) } else { Err(log) }
    })
    .await;
}

/// The letter by which the kernel tells what a process does.
fn state(process: &Process) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[tokio::test]
async fn a_process_is_asked_before_it_is_killed() {
    let (process, _folder) =
        shell("trap 'echo bye $WORD; exit 3' TERM; echo up; while :; do read -t 1 <> <(:); done");
    written(&process, "up").await;
    assert_eq!(process.try_exit(), None);
    assert_eq!(process.stop().await.code(), Some(3));
    written(&process, "bye word").await;
    assert_eq!(process.try_exit().and_then(|status| status.code()), Some(3));
    // Nothing is sent to a process that has ended: its id may be another's by now.
    assert_eq!(process.kill().code(), Some(3));
}

#[tokio::test]
async fn a_process_is_frozen_and_goes_on() {
    let (process, _folder) = shell("echo up; read <> <(:)");
    written(&process, "up").await;
    process.pause();
    wait::until("it stands still", SOON, || async { (state(&process) == Some('T')).then_some(()) })
        .await;
    process.resume();
    wait::until("it goes on", SOON, || async { (state(&process) != Some('T')).then_some(()) })
        .await;
    process.pause();
    assert_eq!(process.kill().signal(), Some(9));
}

#[tokio::test]
async fn a_dropped_process_is_gone() {
    let (process, _folder) = shell("exec sleep 1000");
    let path = format!("/proc/{}", process.pid());
    assert!(Path::new(&path).exists());
    drop(process);
    assert!(!Path::new(&path).exists());
}

#[tokio::test]
#[should_panic(expected = "until pigs fly (at tests/support/tests/process.rs:")]
async fn waiting_in_vain_says_for_what_and_where() {
    wait::until("pigs fly", Duration::from_millis(30), || async { None::<()> }).await;
}

#[tokio::test]
#[should_panic(expected = "last seen: 3 legs")]
async fn waiting_in_vain_says_what_was_seen() {
    let limit = Duration::from_millis(30);
    wait::until_ok("pigs fly", limit, || async { Err::<(), _>("3 legs") }).await;
}
