//! A loopback proxy before an authorization server that loses answers on purpose.
//!
//! It reads whole requests and whole answers, and only then does to the client what the connection's
//! [`Fate`] says: whatever the client gets to see, the server behind has done its part.

mod connection;

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::http_server::RecordedRequest;
use crate::{ports, wait};

const PORT_LIMIT: Duration = Duration::from_secs(5);

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Every answer is passed on.
    Pass,
    /// It is reset before a byte of the request is read, and the server behind hears nothing. A port
    /// that refuses connections is [`CuttingProxy::refuse_connections`].
    Reset,
    /// The first answer is passed on up to that many bytes, head included, and the connection closed.
    CutAfter(usize),
    /// The same, but the connection is reset: that may overtake bytes which the client has not read.
    ResetAfter(usize),
    /// Every answer is passed on that much later.
    Delay(Duration),
    /// Every answer is held until [`CuttingProxy::release`].
    Stall,
}

/// An answer of the server behind, and what the client got of it.
#[derive(Debug, Clone)]
pub struct Passage {
    /// The number of the connection, from 1.
    pub connection: u64,
    /// What was decided for the connection.
    pub fate: Fate,
    /// What was asked; a chunked body is kept in its chunks.
    pub request: RecordedRequest,
    /// The whole answer, head included.
    pub response: Vec<u8>,
    /// How many bytes of it were passed on.
    pub passed: usize,
}

type Policy = Box<dyn Fn(u64) -> Fate + Send>;

/// The proxy. Dropping it closes its port and its connections.
pub struct CuttingProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    open: OpenConnections,
}

/// They outlive the port, and end with the proxy.
type OpenConnections = Arc<Mutex<JoinSet<()>>>;

impl CuttingProxy {
    /// Starts it before that server; it passes everything on until told otherwise.
    pub async fn start(upstream: SocketAddr) -> Self {
        // Not a port of the kernel's choice: nobody may take it while connections are refused.
        let [port] = ports::free();
        let proxy = Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            shared: Arc::new(Shared::new(upstream)),
            accepting: Mutex::default(),
            open: OpenConnections::default(),
        };
        proxy.accept_connections().await;
        proxy
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next connection's fate, before what the policy says; first in, first out.
    pub fn queue(&self, fate: Fate) {
        self.shared.state().queue.push_back(fate);
    }

    /// Fates that were queued and have met nobody are forgotten.
    pub fn clear_queue(&self) {
        self.shared.state().queue.clear();
    }

    /// The fate of all connections from now on.
    pub fn always(&self, fate: Fate) {
        self.set_policy(move |_| fate);
    }

    /// Decides fates by a function of the connection's number, which counts from 1.
    pub fn set_policy(&self, policy: impl Fn(u64) -> Fate + Send + 'static) {
        self.shared.state().policy = Box::new(policy);
    }

    /// Closes the port, so that new connections are refused; those there are live on.
    pub async fn refuse_connections(&self) {
        let accepting = self.accepting().take();
        if let Some(task) = accepting {
            task.abort();
            // The port is closed when the task is gone.
            let _ = task.await;
        }
    }

    /// Opens the port again.
    pub async fn accept_connections(&self) {
        if self.accepting().is_some() {
            return;
        }
        // A process that is started just now has it open until it becomes another program, whoever closed it here.
        let listener =
            wait::until_ok("the port is free", PORT_LIMIT, || TcpListener::bind(self.address))
                .await;
        let task = tokio::spawn(accept(listener, Arc::clone(&self.shared), Arc::clone(&self.open)));
        *self.accepting() = Some(task);
    }

    /// Passes on every answer that is held now.
    pub fn release(&self) {
        self.shared.release.send_modify(|round| *round += 1);
    }

    /// Waits until that many answers are held: the server behind has given them.
    #[track_caller]
    pub fn wait_until_held(&self, count: usize, limit: Duration) -> impl Future<Output = ()> {
        wait::until_ok(&format!("{count} answers are held"), limit, move || async move {
            let held = self.shared.state().held;
            if held >= count { Ok(()) } else { Err(format!("{held} answers")) }
        })
    }

    /// How many connections were opened to it.
    pub fn connections(&self) -> u64 {
        self.shared.state().connections
    }

    /// The length of the last whole answer of the server behind, head included.
    pub fn last_response_len(&self) -> Option<usize> {
        self.shared.state().last_response_len
    }

    /// What was asked, answered and passed on since the last call.
    pub fn take_passages(&self) -> Vec<Passage> {
        std::mem::take(&mut self.shared.state().passages)
    }

    fn accepting(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.accepting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        if let Some(task) = self.accepting().take() {
            task.abort();
        }
    }
}

impl fmt::Debug for CuttingProxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CuttingProxy").field("address", &self.address).finish()
    }
}

struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    /// Changes at each release.
    release: watch::Sender<u64>,
}

struct State {
    queue: VecDeque<Fate>,
    policy: Policy,
    connections: u64,
    held: usize,
    last_response_len: Option<usize>,
    passages: Vec<Passage>,
}

impl Shared {
    fn new(upstream: SocketAddr) -> Self {
        let state = State {
            queue: VecDeque::new(),
            policy: Box::new(|_| Fate::Pass),
            connections: 0,
            held: 0,
            last_response_len: None,
            passages: Vec::new(),
        };
        Self { upstream, state: Mutex::new(state), release: watch::Sender::new(0) }
    }

    /// Counts a connection and decides its fate, in one step, so that both have one order.
    fn admit(&self) -> (u64, Fate) {
        let mut state = self.state();
        state.connections += 1;
        let number = state.connections;
        let queued = state.queue.pop_front();
        (number, queued.unwrap_or_else(|| (state.policy)(number)))
    }

    /// Returns at the next release.
    async fn hold(&self) {
        let mut release = {
            let mut state = self.state();
            state.held += 1;
            self.release.subscribe()
        };
        let _ = release.changed().await;
        self.state().held -= 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, open: OpenConnections) {
    loop {
        let (client, _) = listener.accept().await.expect("connections can be accepted");
        let (number, fate) = shared.admit();
        let serving = connection::serve(client, number, fate, Arc::clone(&shared));
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.spawn(serving);
        while open.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests;
