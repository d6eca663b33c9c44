//! What makes pods of Deployments, and finds a node for them.

use std::path::Path;
use std::process::Command;

use crate::control_plane::ControlPlane;
use crate::process::Process;

/// Starts kube-controller-manager and kube-scheduler.
pub(super) fn start(tools: &Path, control_plane: &ControlPlane, folder: &Path) -> Vec<Process> {
    let mut manager = component(tools, control_plane, "kube-controller-manager");
    let file = |name: &str| control_plane.file(name).display().to_string();
    manager.args([
        format!("--root-ca-file={}", file("ca.crt")),
        format!("--service-account-private-key-file={}", file("service-accounts.key")),
        "--use-service-account-credentials=true".to_owned(),
    ]);
    let scheduler = component(tools, control_plane, "kube-scheduler");
    let commands = [("kube-controller-manager", manager), ("kube-scheduler", scheduler)];
    let start = |(name, command): (&str, Command)| {
        Process::start(name, &command, &folder.join(format!("{name}.log")))
    };
    commands.map(start).into()
}

fn component(tools: &Path, control_plane: &ControlPlane, name: &str) -> Command {
    let user = format!("system:{name}");
    let kubeconfig = control_plane.user_kubeconfig(&user, &user);
    let mut command = Command::new(tools.join(name));
    command
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--leader-elect=false", "--bind-address=127.0.0.1"]);
    command
}
