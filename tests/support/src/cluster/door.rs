//! Connections passed on as they are, also through the wall between two network namespaces: a socket
//! in a folder is the same on both sides.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// Where connections go.
#[derive(Debug, Clone)]
pub enum Address {
    /// An address of the own network.
    Tcp(SocketAddr),
    /// A socket in a folder.
    Folder(PathBuf),
}

/// A listener at a socket in a folder.
pub fn listener(path: &Path) -> io::Result<Listener> {
    Ok(Listener(Kind::Folder(UnixListener::bind(path)?)))
}

/// Passes on what comes to `from`, until it is aborted.
pub fn open(from: impl Into<Listener>, to: Address) -> JoinHandle<()> {
    let from = from.into();
    tokio::spawn(async move {
        // They end with this task, of which they are a part.
        let mut connections = JoinSet::new();
        loop {
            let near = from.accept().await.expect("connections can be accepted");
            connections.spawn(pass(near, to.clone()));
            while connections.try_join_next().is_some() {}
        }
    })
}

/// Where connections come from.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Folder(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Tcp(listener))
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.0 {
            Kind::Tcp(listener) => Box::new(listener.accept().await?.0),
            Kind::Folder(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The near end closes when the far one does, or when nobody listens there.
async fn pass(mut near: Box<dyn Stream>, to: Address) {
    let far: io::Result<Box<dyn Stream>> = match to {
        Address::Tcp(address) => TcpStream::connect(address).await.map(|far| Box::new(far) as _),
        Address::Folder(path) => UnixStream::connect(path).await.map(|far| Box::new(far) as _),
    };
    if let Ok(mut far) = far {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
