//! containerd, with runc and a bridge for the pods' network.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::POD_IMAGE;
use crate::process::Process;
use crate::{tools, wait};

const START_LIMIT: Duration = Duration::from_secs(60);
/// The kubelet's own name for what is its.
const NAMESPACE: &str = "k8s.io";

/// A running containerd.
pub(super) struct ContainerRuntime {
    process: Process,
    tools: PathBuf,
    socket: PathBuf,
}

impl ContainerRuntime {
    pub(super) async fn start(folder: &Path) -> Self {
        let tools = tools::installed("containerd").await;
        let runc = tools::installed("runc").await;
        let plugins = tools::installed("cni-plugins").await;
        let networks = folder.join("networks");
        std::fs::create_dir(&networks).expect("a folder can be made");
        write(&networks.join("pods.conflist"), &network());
        let socket = folder.join("containerd.sock");
        let config = folder.join("containerd.toml");
        write(&config, &configuration(folder, &socket, &runc, &plugins, &networks));

        let mut command = Command::new(tools.join("containerd"));
        command.arg("--config").arg(&config);
        let process = Process::start("containerd", &command, &folder.join("containerd.log"));
        let runtime = Self { process, tools, socket };
        wait::until_ok("containerd serves", START_LIMIT, || async {
            if let Some(status) = runtime.process.try_exit() {
                panic!("containerd ended ({status}):\n{}", runtime.process.log_tail());
            }
            runtime.try_ctr(&["version"]).await
        })
        .await;
        runtime
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Where the kubelet finds it.
    pub(super) fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Takes the image in an archive; gives the name it has there.
    pub(super) async fn import(&self, archive: &Path) -> String {
        let archive = archive.to_str().expect("the path is text");
        let said = self.ctr(&["images", "import", "--local", archive]).await;
        let name = said.split_whitespace().find(|word| word.contains('/') && word.contains(':'));
        name.unwrap_or_else(|| panic!("no image in {archive}: {said}")).to_owned()
    }

    /// Runs its client; gives what it printed.
    pub(super) async fn ctr(&self, arguments: &[&str]) -> String {
        self.try_ctr(arguments).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_ctr(&self, arguments: &[&str]) -> Result<String, String> {
        let output = tokio::process::Command::new(self.tools.join("ctr"))
            .arg("--address")
            .arg(&self.socket)
            .args(["--namespace", NAMESPACE])
            .args(arguments)
            .output()
            .await
            .expect("ctr can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("ctr {}: {}", arguments.join(" "), text(&output.stderr)))
        }
    }

    pub(super) async fn stop(&self) {
        self.process.stop().await;
    }
}

fn configuration(
    folder: &Path,
    socket: &Path,
    runc: &Path,
    plugins: &Path,
    networks: &Path,
) -> String {
    // A text in quotes with escapes is the same in TOML and in Rust's own form for debugging.
    format!(
        r#"version = 3
root = {root:?}
state = {state:?}

[grpc]
address = {socket:?}

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = {POD_IMAGE:?}

[plugins."io.containerd.cri.v1.runtime"]
# For where even root may not lower it.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = [{plugins:?}]
conf_dir = {networks:?}

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = {runc:?}
"#,
        root = folder.join("images"),
        state = folder.join("containers"),
    )
}

/// Every pod has an address of its own; the node is their gateway, and there is nothing beyond.
fn network() -> String {
    let bridge = json!({
        "type": "bridge",
        "bridge": "pods",
        "isGateway": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": "10.244.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    });
    json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}).to_string()
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text)
        .unwrap_or_else(|error| panic!("{} can't be written: {error}", path.display()));
}
