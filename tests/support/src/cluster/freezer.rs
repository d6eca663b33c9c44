//! Processes that are not this program's children, stopped where they are.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

const LIMIT: Duration = Duration::from_secs(10);

/// Comes back when each of its threads has stopped; what one was asking of the kernel is done by then.
pub(super) async fn freeze(pid: u32) {
    let process = Pid::from_raw(i32::try_from(pid).expect("a process id fits"));
    kill(process, Signal::SIGSTOP).expect("it runs");
    wait::until("all of it has stopped", LIMIT, || async { has_stopped(pid).then_some(()) }).await;
}

fn has_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it is there");
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // What follows the name, which may have any letters in it.
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    })
}
