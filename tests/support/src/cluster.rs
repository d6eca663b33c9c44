//! A cluster of one node on this machine: a control plane with its controllers, a container runtime
//! and a kubelet, so that pods run, mount Secrets and are replaced as everywhere.
//!
//! It starts in namespaces of its own ([`namespaces::inside`]) and takes the rights of root. Pods have
//! a network, but nothing answers to names unless a test starts a [`NameServer`], no rule of a NetworkPolicy is enforced, and of all
//! Services only `kubernetes` has something behind it.

mod container_runtime;
mod controllers;
pub mod door;
mod freezer;
mod kubelet;
mod name_server;
pub mod namespaces;
pub mod network;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use self::container_runtime::ContainerRuntime;
use self::door::Address;
pub use self::name_server::NameServer;
use crate::certificates::SERVICE_ADDRESS;
use crate::control_plane::ControlPlane;
use crate::process::Process;
use crate::{scratch, tools, wait};

/// The node's address, at which pods reach what listens on it.
pub const NODE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 100, 0, 1));
/// The image the tests' own pods run, see `tests/tools/pod-image`.
pub const POD_IMAGE: &str = "localhost/pod:test";
/// The port of the Service `kubernetes`.
const SERVICE_PORT: u16 = 443;
const NODE_NAME: &str = "node";
const START_LIMIT: Duration = Duration::from_secs(120);

/// The cluster. What it leaves when dropped goes with the namespaces; better is [`Cluster::stop`].
pub struct Cluster {
    /// Its control plane.
    pub control_plane: ControlPlane,
    kubelet_command: std::process::Command,
    kubelet: Mutex<Option<Process>>,
    controllers: Vec<Process>,
    container_runtime: ContainerRuntime,
    service: JoinHandle<()>,
    // Last, so that it is removed when nothing runs in it.
    folder: TempDir,
}

impl Cluster {
    /// Starts it and waits until its node is ready.
    pub async fn start() -> Self {
        let cgroup = namespaces::cgroup();
        let folder = scratch::folder("node");
        let tools = tools::installed("node").await;
        let pod_image = tools::installed("pod-image").await;
        let (control_plane, container_runtime) =
            futures::join!(ControlPlane::start(), ContainerRuntime::start(folder.path()));
        container_runtime.import(&pod_image).await;
        let service = kubernetes_service(&control_plane).await;
        let controllers = controllers::start(&tools, &control_plane, folder.path());
        let kubelet_command = kubelet::command(
            &tools,
            &control_plane,
            &container_runtime.endpoint(),
            &cgroup,
            folder.path(),
        );
        let cluster = Self {
            control_plane,
            kubelet_command,
            kubelet: Mutex::new(None),
            controllers,
            container_runtime,
            service,
            folder,
        };
        cluster.start_kubelet().await;
        cluster
    }

    /// Takes the image in an archive and gives it one more name.
    pub async fn import_image(&self, archive: &Path, name: &str) {
        let imported = self.container_runtime.import(archive).await;
        if imported != name {
            self.tag_image(&imported, name).await;
        }
    }

    /// Gives an image one more name.
    pub async fn tag_image(&self, image: &str, name: &str) {
        self.container_runtime.ctr(&["images", "tag", "--force", image, name]).await;
    }

    /// Ends a container at once (SIGKILL), as the kernel does that has no memory left.
    pub async fn kill_container(&self, id: &str) {
        self.container_runtime.ctr(&["tasks", "kill", "--signal", "SIGKILL", id]).await;
    }

    /// The process ids of the containers that run, by container id, as this program sees them.
    pub async fn container_pid(&self, id: &str) -> Option<u32> {
        let tasks = self.container_runtime.ctr(&["tasks", "list"]).await;
        let line = tasks.lines().find(|line| line.starts_with(id))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Freezes a container that runs, and comes back when nothing in it does anything any more.
    pub async fn freeze_container(&self, id: &str) {
        let pid = self.container_pid(id).await.expect("it runs");
        freezer::freeze(pid).await;
    }

    /// Where a pod of this UID has its volume of that name in memory.
    pub fn memory_volume(&self, pod: &str, name: &str) -> PathBuf {
        let folder = self.folder.path().join(kubelet::FOLDER).join("pods").join(pod);
        folder.join("volumes/kubernetes.io~empty-dir").join(name)
    }

    /// Stops the kubelet and waits for its end. Pods go on.
    pub async fn stop_kubelet(&self) {
        if let Some(kubelet) = self.kubelet.lock().await.take() {
            kubelet.stop().await;
        }
    }

    /// Starts the kubelet (again), and waits until the node is ready.
    pub async fn start_kubelet(&self) {
        let mut slot = self.kubelet.lock().await;
        assert!(slot.is_none(), "the kubelet runs already");
        let log = self.folder.path().join("kubelet.log");
        // The API server takes a node for ready for a while after its last sign of life.
        let before = self.last_sign_of_life().await;
        let kubelet = Process::start("kubelet", &self.kubelet_command, &log);
        wait::until_ok("the node is ready", START_LIMIT, || async {
            if self.last_sign_of_life().await <= before {
                return Err("it has given no sign of life".to_owned());
            }
            self.is_ready(&kubelet).await
        })
        .await;
        *slot = Some(kubelet);
    }

    /// Stops all of it.
    pub async fn stop(&self) {
        self.stop_kubelet().await;
        futures::future::join_all(self.controllers.iter().map(Process::stop)).await;
        self.control_plane.stop().await;
        self.service.abort();
        self.container_runtime.stop().await;
        // Pods, and what they have mounted, end with the namespaces.
    }

    /// When the kubelet renewed its Lease; nothing when there is none.
    async fn last_sign_of_life(&self) -> Option<MicroTime> {
        let leases: Api<Lease> = Api::namespaced(self.control_plane.client(), "kube-node-lease");
        let lease = leases.get_opt(NODE_NAME).await.ok()??;
        lease.spec?.renew_time
    }

    async fn is_ready(&self, kubelet: &Process) -> Result<(), String> {
        for process in self.controllers.iter().chain([self.container_runtime.process(), kubelet]) {
            if let Some(status) = process.try_exit() {
                panic!("{} ended ({status}):\n{}", process.name(), process.log_tail());
            }
        }
        let client = self.control_plane.client();
        let node = Api::<Node>::all(client.clone()).get(NODE_NAME).await;
        let status = node.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
        let ready = ready.ok_or("nothing is known of it")?;
        if ready.status != "True" {
            return Err(ready.message.unwrap_or_default());
        }
        // Without it no pod is admitted.
        let account = Api::<ServiceAccount>::namespaced(client, "default").get("default").await;
        account.map(drop).map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// The Service that every pod knows of, without a kube-proxy.
async fn kubernetes_service(control_plane: &ControlPlane) -> JoinHandle<()> {
    let address: IpAddr = SERVICE_ADDRESS.parse().expect("it is an address");
    let listener = TcpListener::bind((address, SERVICE_PORT)).await;
    let listener = listener.expect("the address is this namespace's");
    door::open(listener, Address::Tcp(control_plane.address()))
}
