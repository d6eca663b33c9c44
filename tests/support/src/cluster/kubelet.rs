//! How the kubelet is started.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{NODE_ADDRESS, NODE_NAME};
use crate::control_plane::ControlPlane;

/// Where it has what it knows of pods, in the folder of the cluster.
pub(super) const FOLDER: &str = "kubelet";

/// The command line; the configuration goes into `folder`.
pub(super) fn command(
    tools: &Path,
    control_plane: &ControlPlane,
    container_runtime: &str,
    cgroup: &str,
    folder: &Path,
) -> Command {
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": control_plane.file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": container_runtime,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "failCgroupV1": false,
        "failSwapOn": false,
        "resolvConf": "",
        // A mounted Secret is looked at each time its pod is; by default that is once a minute.
        "syncFrequency": "1s",
        // Images are there from the start and can't be had again.
        "imageGCHighThresholdPercent": 100,
        // Other programs use this machine too.
        "evictionHard": {"memory.available": "1Mi"},
    });
    let path = folder.join("kubelet.json");
    std::fs::write(&path, config.to_string()).expect("a file can be written");
    let user = format!("system:node:{NODE_NAME}");
    let mut command = Command::new(tools.join("kubelet"));
    command
        .arg("--config")
        .arg(path)
        .arg("--kubeconfig")
        .arg(control_plane.user_kubeconfig(&user, "system:nodes"))
        .arg("--root-dir")
        .arg(folder.join(FOLDER))
        .arg("--cert-dir")
        .arg(folder.join("kubelet-certificates"))
        .arg(format!("--hostname-override={NODE_NAME}"))
        .arg(format!("--node-ip={NODE_ADDRESS}"));
    command
}
