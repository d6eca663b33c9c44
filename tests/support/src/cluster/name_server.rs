//! What a cluster's DNS is to pods.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::NODE_ADDRESS;
use crate::process::Process;
use crate::{scratch, tools, wait};

const START_LIMIT: Duration = Duration::from_secs(10);

/// A name server on the node's address, inside the cluster's namespaces, until it is dropped.
#[derive(Debug)]
pub struct NameServer {
    _process: Process,
    _folder: TempDir,
}

impl NameServer {
    /// One that knows `name` as the node's address, and that there is no other.
    pub async fn start(name: &str) -> Self {
        let folder = scratch::folder("names");
        let mut command = Command::new(tools::installed("dnsmasq").await);
        command
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"])
            .args(["--no-resolv", "--no-hosts", "--local=/#/", "--log-facility=-"])
            .args(["--bind-interfaces", &format!("--listen-address={NODE_ADDRESS}")])
            .arg(format!("--host-record={name},{NODE_ADDRESS}"));
        let process = Process::start("dnsmasq", &command, &folder.path().join("log"));
        wait::until("the name server runs", START_LIMIT, || async {
            process.log().contains("started, version").then_some(())
        })
        .await;
        Self { _process: process, _folder: folder }
    }
}
