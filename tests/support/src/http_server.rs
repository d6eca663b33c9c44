//! A scripted HTTP/1.1 server that keeps every request as it came, byte for byte.
//!
//! No framework: tests assert requests to the byte, and answers must be cut at any byte.

mod connection;
mod message;

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{self, BoxFuture};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use self::message::{Answer, AnswerKind, RecordedRequest};
use crate::wait;

type Handler = Arc<dyn Fn(&RecordedRequest) -> BoxFuture<'static, Answer> + Send + Sync>;

/// The server. Dropping it closes its port and its connections.
pub struct ScriptedServer {
    address: SocketAddr,
    script: Arc<Script>,
    accepting: JoinHandle<()>,
}

impl ScriptedServer {
    /// Starts it on a free loopback port; it answers 404 until told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let script = Arc::new(Script::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&script)));
        Self { address, script, accepting }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request gets this, before what the handler or the default says; first in, first out.
    pub fn queue(&self, answer: Answer) {
        self.script.lock().queue.push_back(answer);
    }

    /// What is answered when the queue is empty.
    pub fn always(&self, answer: Answer) {
        self.answer_with(move |_| answer.clone());
    }

    /// Answers by a function when the queue is empty. It runs for one request at a time.
    pub fn answer_with(
        &self,
        handler: impl Fn(&RecordedRequest) -> Answer + Send + Sync + 'static,
    ) {
        self.answer_when(move |request| future::ready(handler(request)));
    }

    /// Answers when a future says what, when the queue is empty. The function runs for one request at a time; the
    /// futures do not wait for each other.
    pub fn answer_when<P>(&self, handler: impl Fn(&RecordedRequest) -> P + Send + Sync + 'static)
    where
        P: Future<Output = Answer> + Send + 'static,
    {
        self.script.lock().handler = Some(Arc::new(move |request| Box::pin(handler(request))));
    }

    /// All requests so far, in the order in which they had arrived in full.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.script.lock().requests.clone()
    }

    /// Waits until at least that many requests came, and gives them all.
    #[track_caller]
    pub fn wait_for_requests(
        &self,
        count: usize,
        limit: Duration,
    ) -> impl Future<Output = Vec<RecordedRequest>> {
        let what = format!("{count} requests came to {}", self.address);
        wait::until_ok(&what, limit, move || async move {
            let requests = self.requests();
            let seen = format!("{} requests", requests.len());
            if requests.len() >= count { Ok(requests) } else { Err(seen) }
        })
    }

    /// How many connections were opened to it.
    pub fn connections(&self) -> usize {
        self.script.lock().connections
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        // The task owns the listener and all connections.
        self.accepting.abort();
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScriptedServer").field("address", &self.address).finish()
    }
}

/// What to answer, and what came.
#[derive(Default)]
struct Script {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Answer>,
    handler: Option<Handler>,
    requests: Vec<RecordedRequest>,
    connections: usize,
}

impl Script {
    /// Keeps the request and decides the answer, in one step, so that both have one order.
    fn answer(&self, request: RecordedRequest) -> BoxFuture<'static, Answer> {
        let mut state = self.lock();
        let answer: BoxFuture<'static, Answer> = match (state.queue.pop_front(), &state.handler) {
            (Some(queued), _) => Box::pin(future::ready(queued)),
            (None, Some(handler)) => handler(&request),
            (None, None) => {
                let answer = Answer::body(404, "text/plain", "nothing is scripted\n");
                Box::pin(future::ready(answer))
            }
        };
        state.requests.push(request);
        answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, script: Arc<Script>) {
    // Aborted with this task, of which it is a part.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("connections can be accepted");
        script.lock().connections += 1;
        connections.spawn(connection::serve(stream, Arc::clone(&script)));
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests;
