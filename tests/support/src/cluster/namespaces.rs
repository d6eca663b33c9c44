//! Namespaces for a cluster: mounts, interfaces and processes of its own, so that the machine is as
//! before when it ends, however it ends.
//!
//! The program starts itself a second time, inside. The first one waits; what it holds of the second
//! is its standard input, and when that is closed, the second one stops.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::NODE_ADDRESS;
use crate::certificates::SERVICE_ADDRESS;
use crate::interrupt;

/// Set inside: the name of the cgroup that is the cluster's.
const CGROUP: &str = "OAUTH_KEEPER_CLUSTER_CGROUP";
/// Where temporary folders go inside, which is memory.
const FOLDER: &str = "/run/oauth-keeper";
const SCRIPT: &str = include_str!("namespaces.sh");
/// What a shell makes of the number of a signal.
const SIGNALLED: i32 = 128;

/// Runs `program` in namespaces of its own: does it, when it is inside, or else starts this very
/// program there with the same arguments and gives its exit code.
pub fn inside(program: impl FnOnce() -> ExitCode) -> ExitCode {
    if is_inside() {
        return program();
    }
    let runtime = Runtime::new().expect("a runtime can be made");
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    exit_code(runtime.block_on(enter(&arguments)))
}

/// Whether this process is in namespaces of its own.
pub fn is_inside() -> bool {
    env::var_os(CGROUP).is_some()
}

/// The same end for the program outside as inside.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| SIGNALLED + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// Starts this program inside, tells it to stop when this one shall, and waits for its end.
pub async fn enter<S: AsRef<OsStr>>(arguments: &[S]) -> ExitStatus {
    assert!(nix::unistd::geteuid().is_root(), "a cluster needs the rights of root");
    let mut child = tokio::process::Command::from(command(arguments))
        .spawn()
        .expect("unshare (util-linux) can be started");
    let stdin = child.stdin.take();
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        () = interrupt::requested() => None,
    };
    drop(stdin);
    let ended = match ended {
        Some(ended) => ended,
        None => child.wait().await,
    };
    ended.expect("a child can be waited for")
}

fn command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let program = env::current_exe().expect("this program has a path");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--net", "--pid", "--ipc", "--fork", "--mount-proc"])
        .args(["bash", "-c", SCRIPT, "namespaces"])
        .arg(program)
        .args(arguments)
        .env(CGROUP, format!("oauth-keeper-{}", std::process::id()))
        .env("TMPDIR", FOLDER)
        .env("NODE_ADDRESS", NODE_ADDRESS.to_string())
        .env("SERVICE_ADDRESS", SERVICE_ADDRESS)
        .stdin(Stdio::piped());
    command
}

/// The cgroup that is the cluster's; panics outside.
pub(crate) fn cgroup() -> String {
    env::var(CGROUP).expect("a cluster starts in namespaces of its own: namespaces::inside")
}

/// Comes back when whoever started this program inside wants it to stop, or is gone; never outside.
pub(crate) async fn left_alone() {
    static CLOSED: OnceLock<watch::Receiver<bool>> = OnceLock::new();
    if !is_inside() {
        return std::future::pending().await;
    }
    let mut closed = CLOSED.get_or_init(watch_standard_input).clone();
    // The watching thread never goes without saying so.
    let _ = closed.wait_for(|closed| *closed).await;
}

/// A thread of its own, for a runtime would wait for the read when it ends.
fn watch_standard_input() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = sender.send(true);
    });
    receiver
}
