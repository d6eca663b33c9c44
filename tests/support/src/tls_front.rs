//! TLS in front of a server that speaks plain HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
pub use tokio_rustls::rustls;

/// What clients showed, a list for each connection.
type Shown = Arc<Mutex<Vec<Vec<Vec<u8>>>>>;

/// The front. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    shown: Shown,
    accepting: JoinHandle<()>,
}

impl TlsFront {
    /// Starts it on a free loopback port.
    pub async fn start(backend: SocketAddr, config: rustls::ServerConfig) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), backend, config).await
    }

    /// Starts it on a free port of this address.
    pub async fn start_at(
        address: IpAddr,
        backend: SocketAddr,
        config: rustls::ServerConfig,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a free port can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shown = Shown::default();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = tokio::spawn(accept(listener, backend, acceptor, Arc::clone(&shown)));
        Self { address, shown, accepting }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificates that clients showed (DER), a list for each connection that came about.
    pub fn shown(&self) -> Vec<Vec<Vec<u8>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, backend: SocketAddr, acceptor: TlsAcceptor, shown: Shown) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("connections can be accepted");
        connections.spawn(serve(stream, backend, acceptor.clone(), Arc::clone(&shown)));
        while connections.try_join_next().is_some() {}
    }
}

/// Serves a connection. What goes wrong on it ends it, as the other side sees soon enough.
async fn serve(stream: TcpStream, backend: SocketAddr, acceptor: TlsAcceptor, shown: Shown) {
    let Ok(mut outside) = acceptor.accept(stream).await else { return };
    let certificates = outside.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|certificate| certificate.to_vec()).collect();
    shown.lock().unwrap_or_else(PoisonError::into_inner).push(certificates);
    let Ok(mut inside) = TcpStream::connect(backend).await else { return };
    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
}
