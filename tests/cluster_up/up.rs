//! What a person asks for.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use oauth_keeper_test_support::cluster::NODE_ADDRESS;
use oauth_keeper_test_support::{chart, tools, wait};

use crate::place::Place;

/// How much of the log is shown when it does not come up.
const LOG_TAIL: usize = 30;
const LIMIT: Duration = Duration::from_secs(300);

/// Starts it in the background and says how it is used.
pub(crate) async fn up() -> io::Result<()> {
    let place = Place::of_this_checkout()?;
    // Let go at once, for `serve` to take it.
    let free = place.lock()?.is_some();
    if free {
        place.clear();
        start(&place).await?;
    }
    wait::until("the cluster is ready", LIMIT, || async {
        place.kubeconfig().exists().then_some(())
    })
    .await;
    tell(&place).await;
    Ok(())
}

async fn start(place: &Place) -> io::Result<()> {
    println!("starting the cluster; half a minute");
    let log = File::create(place.log())?;
    let errors = log.try_clone()?;
    let program = std::env::current_exe()?;
    // Its own session, for it stays when the terminal goes.
    let mut serve = Command::new("setsid")
        .arg(program)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()?;
    wait::until("the cluster is ready or has failed", LIMIT, || {
        let ended = serve.try_wait();
        let ready = place.kubeconfig().exists();
        async move { (ready || !matches!(ended, Ok(None))).then_some(()) }
    })
    .await;
    match serve.try_wait()? {
        None => Ok(()),
        Some(status) => {
            Err(io::Error::other(format!("it ended ({status}):\n{}", tail(&place.log()))))
        }
    }
}

/// Ends it and waits until it has.
pub(crate) async fn down() -> io::Result<()> {
    let place = Place::of_this_checkout()?;
    if place.lock()?.is_some() {
        println!("no cluster of this checkout is up");
        return Ok(());
    }
    // It is the one who holds the lock, so no stranger gets the signal.
    let pid = fs::read_to_string(place.pid())?;
    let sent = Command::new("kill").arg("-TERM").arg(pid.trim()).status()?;
    if !sent.success() {
        return Err(io::Error::other(format!("the process {pid} can't be ended: {sent}")));
    }
    wait::until("the cluster has ended", LIMIT, || async {
        matches!(place.lock(), Ok(Some(_))).then_some(())
    })
    .await;
    println!("the cluster has ended");
    Ok(())
}

async fn tell(place: &Place) {
    let kubectl = tools::installed("control-plane").await.join("kubectl");
    let helm = tools::installed("helm").await;
    let chart = chart::folder();
    let image = chart::image().await;
    println!(
        "
The cluster is up: one node, with Pod Security, without DNS. Of the network pods see each other and the node, {NODE_ADDRESS}.
It has the image of this checkout, {image}, which the chart names by default.

  export KUBECONFIG={kubeconfig}
  {kubectl} get pods --all-namespaces
  {helm} upgrade --install oauth-keeper {chart} --namespace oauth-keeper --create-namespace --wait

`make cluster-down` ends it, with all that is in it.",
        kubeconfig = place.kubeconfig().display(),
        kubectl = kubectl.display(),
        helm = helm.display(),
        chart = chart.display(),
    );
}

fn tail(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let skipped = lines.len().saturating_sub(LOG_TAIL);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}
