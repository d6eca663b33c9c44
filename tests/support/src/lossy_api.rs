//! A way to the API server on which replies get lost: the request is carried out, and its client never hears of it.
//! Or it gets the reply of another server, and this one never hears of the request.
//!
//! `kubectl proxy` stands between, with the rights of the client, so that the way up to it is plain HTTP and can be
//! looked into.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::control_plane::ControlPlane;
use crate::framing::{Kind, MessageStream};
use crate::http_server::{Answer, RecordedRequest};
use crate::process::Process;
use crate::{scratch, wait};

const START_LIMIT: Duration = Duration::from_secs(30);

/// Both the server's answers and replies of our own go there.
type ToClient = tokio::sync::Mutex<OwnedWriteHalf>;
type Rule = Box<dyn FnMut(&RecordedRequest) -> bool + Send>;

/// The way. Dropping it closes it.
pub struct LossyApi {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    _kubectl: Process,
    // Last, so that it is removed when nothing runs in it.
    _folder: TempDir,
}

struct Shared {
    upstream: SocketAddr,
    rule: Mutex<Rule>,
    /// What is answered on the way, by path.
    replies: Mutex<BTreeMap<String, Vec<u8>>>,
    lost: Mutex<Vec<RecordedRequest>>,
}

impl LossyApi {
    /// Opens a way for a client with that kubeconfig; nothing is lost until told otherwise.
    pub async fn start(control_plane: &ControlPlane, kubeconfig: &Path, namespace: &str) -> Self {
        let folder = scratch::folder("lossy-api");
        let mut command = control_plane.kubectl_command(kubeconfig);
        command.args(["proxy", "--port=0"]);
        let kubectl = Process::start("kubectl-proxy", &command, &folder.path().join("kubectl.log"));
        let upstream = wait::until_ok("kubectl proxy listens", START_LIMIT, || async {
            let log = kubectl.log();
            address(&log).ok_or(log)
        })
        .await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a loopback port can be bound");
        let own = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            upstream,
            rule: Mutex::new(Box::new(|_| false)),
            replies: Mutex::default(),
            lost: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        let file = folder.path().join("kubeconfig");
        std::fs::write(&file, plain(own, namespace)).expect("a kubeconfig can be written");
        Self { kubeconfig: file, shared, accepting, _kubectl: kubectl, _folder: folder }
    }

    /// A kubeconfig that leads here; its context has the namespace.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on the replies to requests of which the rule says so are lost, with their connection.
    pub fn lose(&self, rule: impl FnMut(&RecordedRequest) -> bool + Send + 'static) {
        *lock(&self.shared.rule) = Box::new(rule);
    }

    /// From now on requests for this path get this reply.
    pub fn reply(&self, path: &str, body: &Value) {
        lock(&self.shared.replies).insert(path.to_owned(), Answer::json(200, body).bytes());
    }

    /// The requests whose replies were lost.
    pub fn lost(&self) -> Vec<RecordedRequest> {
        lock(&self.shared.lost).clone()
    }
}

impl Drop for LossyApi {
    fn drop(&mut self) {
        // The task owns the listener and all connections.
        self.accepting.abort();
    }
}

impl fmt::Debug for LossyApi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LossyApi").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address in the line that `kubectl proxy` prints when it listens.
fn address(log: &str) -> Option<SocketAddr> {
    log.lines().find_map(|line| line.strip_prefix("Starting to serve on ")?.trim().parse().ok())
}

fn plain(server: SocketAddr, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lossy", "cluster": {"server": format!("http://{server}")}}],
        "users": [{"name": "lossy", "user": {}}],
        "contexts": [{"name": "lossy", "context": {
            "cluster": "lossy", "user": "lossy", "namespace": namespace,
        }}],
        "current-context": "lossy",
    });
    config.to_string()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Aborted with this task, of which it is a part.
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("connections can be accepted");
        connections.spawn(serve(client, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves the connection. What goes wrong on it ends it, as both sides see soon enough.
async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(shared.upstream).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let to_client = ToClient::new(to_client);
    let losing = AtomicBool::new(false);
    tokio::select! {
        _ = requests(from_client, to_server, &to_client, &shared, &losing) => {}
        _ = answers(from_server, &to_client, &losing) => {}
    }
}

/// Passes requests on, but for those that are answered here. A client sends no request before it has the last answer.
async fn requests(
    client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    to_client: &ToClient,
    shared: &Shared,
    losing: &AtomicBool,
) -> io::Result<()> {
    let mut client = MessageStream::new(client, Kind::Request);
    while let Some(asked) = client.next().await? {
        let mut request = RecordedRequest::parse(asked.head()).map_err(io::Error::other)?;
        request.body = asked.body().to_vec();
        let reply = lock(&shared.replies).get(request.path()).cloned();
        if let Some(reply) = reply {
            to_client.lock().await.write_all(&reply).await?;
            continue;
        }
        if lock(&shared.rule)(&request) {
            losing.store(true, Ordering::SeqCst);
            lock(&shared.lost).push(request);
        }
        server.write_all(&asked.bytes).await?;
    }
    Ok(())
}

/// Passes answers on as they come, watches too, up to the one that is lost: it has come, and the connection ends.
async fn answers(
    mut server: OwnedReadHalf,
    client: &ToClient,
    losing: &AtomicBool,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = server.read(&mut buffer).await?;
        if count == 0 || losing.load(Ordering::SeqCst) {
            return Ok(());
        }
        client.lock().await.write_all(&buffer[..count]).await?;
    }
}
