//! A real etcd and kube-apiserver on loopback, with RBAC on.
//!
//! There is no controller manager: nothing collects garbage, namespaces never finish deleting, and
//! no `default` ServiceAccount appears. A [`Cluster`](crate::cluster::Cluster) has one, and a node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::certificates::{self, Authority};
use crate::kubeconfig::{self, User};
use crate::process::Process;
use crate::{kubectl, ports, scratch, tools, wait};

const START_LIMIT: Duration = Duration::from_secs(60);
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// etcd and kube-apiserver. Dropping it kills both; better is [`ControlPlane::stop`].
pub struct ControlPlane {
    client: Client,
    url: String,
    admin_kubeconfig: PathBuf,
    tools: PathBuf,
    authority: Authority,
    api_server_command: Command,
    api_server: Mutex<Option<Process>>,
    etcd: Process,
    namespaces: AtomicU64,
    // Last, so that it is removed when nothing runs in it.
    folder: TempDir,
}

impl ControlPlane {
    /// Starts both and waits until they serve.
    pub async fn start() -> Self {
        let tools = tools::installed(programs()).await;
        let folder = scratch::folder("control-plane");
        let [etcd_port, peer_port, port] = ports::free();
        let url = format!("https://127.0.0.1:{port}");
        let authority = Authority::new();
        write_credentials(folder.path(), &authority, &url);

        let command = etcd_command(&tools, folder.path(), etcd_port, peer_port);
        let etcd = Process::start("etcd", &command, &folder.path().join("etcd.log"));
        let api_server_command = api_server_command(&tools, folder.path(), etcd_port, port);

        let admin_kubeconfig = folder.path().join("admin.kubeconfig");
        let control_plane = Self {
            client: admin_client(&admin_kubeconfig).await,
            url,
            admin_kubeconfig,
            tools,
            authority,
            api_server_command,
            api_server: Mutex::new(None),
            etcd,
            namespaces: AtomicU64::new(0),
            folder,
        };
        control_plane.start_api_server().await;
        control_plane.is_of(&wanted_version()).await;
        control_plane
    }

    /// Fails when the API server is of another version than was asked for.
    async fn is_of(&self, version: &str) {
        let found = self.client.apiserver_version().await.expect("it tells its version");
        let found = format!("{}.{}", found.major, found.minor);
        assert!(version.is_empty() || found == version, "Kubernetes {found} serves, not {version}");
    }

    /// The URL of the API server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig of a member of system:masters.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.admin_kubeconfig
    }

    /// A client with the rights of an administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A kubeconfig with a token of this ServiceAccount, whose context has its namespace.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .unwrap_or_else(|error| panic!("no token for {namespace}/{name}: {error}"));
        let token = answer.status.expect("an answered TokenRequest has a status").token;
        self.write_kubeconfig(&format!("{namespace}-{name}"), &User::Token(&token), namespace)
    }

    /// A kubeconfig of this user in this group.
    pub(crate) fn user_kubeconfig(&self, user: &str, group: &str) -> PathBuf {
        let identity = self.authority.client(user, group);
        let file = user.replace(':', "-");
        self.write_kubeconfig(&file, &User::Certificate(&identity), "default")
    }

    fn write_kubeconfig(&self, name: &str, user: &User<'_>, namespace: &str) -> PathBuf {
        let config = kubeconfig::render(&self.url, &self.authority.certificate(), user, namespace);
        let path = self.file(&format!("{name}.kubeconfig"));
        write(&path, &config);
        path
    }

    /// A file of this control plane, such as `ca.crt`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The address at which the API server listens.
    pub fn address(&self) -> SocketAddr {
        let address = self.url.trim_start_matches("https://");
        address.parse().expect("the URL ends with an address")
    }

    /// A new namespace `PREFIX-N`, unique in this control plane.
    pub async fn namespace(&self, prefix: &str) -> String {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{number}");
        self.create_namespace(&name).await;
        name
    }

    /// A namespace of exactly that name; panics when it exists.
    pub async fn create_namespace(&self, name: &str) {
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(self.client())
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap_or_else(|error| panic!("namespace {name} can't be created: {error}"));
    }

    /// Runs kubectl as administrator; gives its standard output, panics when it fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.run_kubectl(arguments, "").await.expect("kubectl succeeds")
    }

    /// The same; gives what it said when it fails.
    pub async fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.run_kubectl(arguments, "").await
    }

    /// kubectl under another kubeconfig, to be started as a process.
    pub(crate) fn kubectl_command(&self, kubeconfig: &Path) -> Command {
        let mut command = Command::new(self.tools.join("kubectl"));
        command.arg("--cache-dir").arg(kubeconfig.with_extension("cache"));
        command.env("KUBECONFIG", kubeconfig);
        command
    }

    /// Applies manifests (YAML) on the server's side, as administrator.
    pub async fn apply(&self, manifests: &str) -> Result<String, String> {
        self.run_kubectl(&["apply", "--server-side", "-f", "-"], manifests).await
    }

    /// Applies objects on the server's side, as administrator.
    pub async fn apply_objects(&self, objects: &[Value]) -> Result<String, String> {
        // JSON is YAML.
        let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
        self.apply(&documents.join("\n---\n")).await
    }

    /// Applies manifests on the server's side as this user.
    pub async fn apply_as(&self, manifests: &str, user: &str) -> Result<String, String> {
        self.run_kubectl(&["apply", "--server-side", "--as", user, "-f", "-"], manifests).await
    }

    async fn run_kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let program = self.tools.join("kubectl");
        kubectl::run(&program, &self.admin_kubeconfig, arguments, input).await
    }

    /// The Prometheus metrics of the API server.
    pub async fn metrics(&self) -> String {
        self.get("/metrics").await.expect("the API server serves its metrics")
    }

    /// Stops the API server and waits for its end, for it keeps its port until then.
    pub async fn stop_api_server(&self) {
        if let Some(process) = self.api_server.lock().await.take() {
            process.stop().await;
        }
    }

    /// Kills the API server.
    pub async fn kill_api_server(&self) {
        if let Some(process) = self.api_server.lock().await.take() {
            process.kill();
        }
    }

    /// Starts the API server (again: on the same port and data) and waits until it serves.
    pub async fn start_api_server(&self) {
        let mut slot = self.api_server.lock().await;
        assert!(slot.is_none(), "the API server runs already");
        let log = self.folder.path().join("kube-apiserver.log");
        let process = Process::start("kube-apiserver", &self.api_server_command, &log);
        wait::until_ok("the API server is ready", START_LIMIT, || self.serves(&process)).await;
        *slot = Some(process);
    }

    /// Stops and starts the API server.
    pub async fn restart_api_server(&self) {
        self.stop_api_server().await;
        self.start_api_server().await;
    }

    /// Freezes the API server: connections stay open and nothing answers.
    pub async fn pause_api_server(&self) {
        self.api_server.lock().await.as_ref().inspect(|process| process.pause());
    }

    /// Lets the API server go on.
    pub async fn resume_api_server(&self) {
        self.api_server.lock().await.as_ref().inspect(|process| process.resume());
    }

    /// What the API server has logged since its last start.
    pub async fn api_server_log(&self) -> String {
        let slot = self.api_server.lock().await;
        slot.as_ref().map(Process::log).unwrap_or_default()
    }

    /// The process id of etcd.
    pub fn etcd_pid(&self) -> u32 {
        self.etcd.pid()
    }

    /// The process id of the API server, when it runs.
    pub async fn api_server_pid(&self) -> Option<u32> {
        self.api_server.lock().await.as_ref().map(Process::pid)
    }

    /// Stops both and waits for their end.
    pub async fn stop(&self) {
        self.stop_api_server().await;
        self.etcd.stop().await;
        // Now, for a program that exits drops nothing.
        let _ = std::fs::remove_dir_all(self.folder.path());
    }

    async fn serves(&self, api_server: &Process) -> Result<(), String> {
        for process in [&self.etcd, api_server] {
            if let Some(status) = process.try_exit() {
                panic!("{} ended ({status}):\n{}", process.name(), process.log_tail());
            }
        }
        self.get("/readyz").await?;
        // Made by the API server itself a moment after it is ready; much fails without it.
        self.get("/api/v1/namespaces/default").await?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<String, String> {
        let request = http::Request::get(path).body(Vec::new()).expect("the path is valid");
        let answer = self.client.request_text(request).await;
        answer.map_err(|error| error.to_string())
    }
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ControlPlane").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A version that can be installed, such as `TEST_KUBERNETES=1.33`; empty for the newest.
fn wanted_version() -> String {
    std::env::var("TEST_KUBERNETES").unwrap_or_default()
}

fn programs() -> String {
    let version = wanted_version();
    if version.is_empty() { "control-plane".to_owned() } else { format!("control-plane-{version}") }
}

/// Writes all keys and certificates.
fn write_credentials(folder: &Path, authority: &Authority, url: &str) {
    let server = authority.server();
    let admin = authority.client("admin", "system:masters");
    let kubelet_client = authority.client("kube-apiserver-kubelet-client", "system:masters");
    let (private, public) = certificates::signing_keys();
    write(&folder.join("ca.crt"), &authority.certificate());
    write(&folder.join("server.crt"), &server.certificate);
    write(&folder.join("server.key"), &server.key);
    write(&folder.join("kubelet-client.crt"), &kubelet_client.certificate);
    write(&folder.join("kubelet-client.key"), &kubelet_client.key);
    write(&folder.join("service-accounts.key"), &private);
    write(&folder.join("service-accounts.pub"), &public);
    let config =
        kubeconfig::render(url, &authority.certificate(), &User::Certificate(&admin), "default");
    write(&folder.join("admin.kubeconfig"), &config);
}

fn etcd_command(tools: &Path, folder: &Path, port: u16, peer_port: u16) -> Command {
    let url = format!("http://127.0.0.1:{port}");
    let peer_url = format!("http://127.0.0.1:{peer_port}");
    let mut command = Command::new(tools.join("etcd"));
    command
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        .arg(format!("--listen-peer-urls={peer_url}"))
        .arg(format!("--initial-advertise-peer-urls={peer_url}"))
        .arg(format!("--initial-cluster=default={peer_url}"))
        .arg("--log-level=warn")
        // Nothing here must survive a power cut.
        .arg("--unsafe-no-fsync");
    command
}

fn api_server_command(tools: &Path, folder: &Path, etcd_port: u16, port: u16) -> Command {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut command = Command::new(tools.join("kube-apiserver"));
    command.args([
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("generated")),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--kubelet-client-certificate={}", file("kubelet-client.crt")),
        format!("--kubelet-client-key={}", file("kubelet-client.key")),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
    ]);
    command.args([
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        // Nothing looks for the `kubernetes` Service's endpoints.
        "--endpoint-reconciler-type=none",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/24",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
    ]);
    command
}

async fn admin_client(path: &Path) -> Client {
    let file = Kubeconfig::read_from(path).expect("the kubeconfig just written can be read");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .expect("the kubeconfig just written is valid");
    Client::try_from(config).expect("the configuration makes a client")
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text)
        .unwrap_or_else(|error| panic!("{} can't be written: {error}", path.display()));
}
