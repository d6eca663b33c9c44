//! The cluster, from both sides of its namespaces.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use oauth_keeper_test_support::cluster::door::{self, Address};
use oauth_keeper_test_support::cluster::{Cluster, namespaces};
use oauth_keeper_test_support::{chart, interrupt, tools};

use crate::place::Place;

/// Waits for the cluster inside to end, and passes on connections until then.
pub(crate) async fn outside() -> io::Result<ExitCode> {
    let place = Place::of_this_checkout()?;
    let Some(_mine) = place.lock()? else {
        return Err(io::Error::other("another cluster of this checkout is up"));
    };
    place.clear();
    fs::write(place.pid(), std::process::id().to_string())?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port().to_string();
    let passing = door::open(listener, Address::Folder(place.door()));
    let status = namespaces::enter(&["serve", &port]).await;
    passing.abort();
    place.clear();
    Ok(namespaces::exit_code(status))
}

/// The cluster itself.
pub(crate) async fn inside(port: u16) -> io::Result<()> {
    let place = Place::of_this_checkout()?;
    let cluster = tokio::select! {
        cluster = start(&place, port) => cluster?,
        // What was begun ends with the namespaces.
        () = interrupt::requested() => return Ok(()),
    };
    interrupt::requested().await;
    cluster.stop().await;
    Ok(())
}

async fn start(place: &Place, port: u16) -> io::Result<Cluster> {
    let cluster = Cluster::start().await;
    let archive = tools::repository_root().join("target/image.tar");
    cluster.import_image(&archive, &chart::image().await).await;
    let listener = door::listener(&place.door())?;
    let address: SocketAddr = cluster.control_plane.address();
    // For as long as this process lives.
    drop(door::open(listener, Address::Tcp(address)));
    let kubeconfig = fs::read_to_string(cluster.control_plane.admin_kubeconfig())?;
    let outside = format!("https://127.0.0.1:{port}");
    let kubeconfig = kubeconfig.replace(cluster.control_plane.url(), &outside);
    // In one step, because it says that all is ready.
    let new = place.kubeconfig().with_extension("new");
    fs::write(&new, kubeconfig)?;
    fs::rename(new, place.kubeconfig())?;
    Ok(cluster)
}
