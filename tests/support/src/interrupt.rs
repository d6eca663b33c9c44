//! Ctrl-C, and SIGTERM, which means the same.

use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::namespaces;

/// Comes back when the user (SIGINT) or the system (SIGTERM) wants this program to end.
pub async fn requested() {
    let mut terminated = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt.expect("SIGINT can be caught"),
        _ = terminated.recv() => {}
        () = namespaces::left_alone() => {}
    }
    eprintln!("interrupted; stopping");
}
