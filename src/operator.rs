//! Puts the operator together, and takes it apart in the right order.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::{Client, Config};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::admin;
use crate::api_server;
use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::controller::context::{Context, Term};
use crate::controller::discovery::{Discoveries, keeper};
use crate::controller::events::Events;
use crate::controller::exchange;
use crate::controller::home::Homes;
use crate::controller::index::Index;
use crate::controller::journal::Journal;
use crate::controller::notes::Notes;
use crate::controller::provider::checked::Checked;
use crate::controller::provider::report;
use crate::controller::provider::subjects::Reports;
use crate::controller::replay::{self, Held};
use crate::controller::scope::{Feed, Scope};
use crate::controller::secrets::Secrets;
use crate::controller::slots::Slots;
use crate::controller::turns::Turns;
use crate::controller::watches::{self, Synced};
use crate::leader::Candidate;
use crate::lifecycle::rotation::claim::Holder;
use crate::metrics::Metrics;
use crate::oauth::address::AddressPolicy;
use crate::oauth::transport::{SPEND_TIMEOUT, Transport, TransportError};
use crate::{served_schema, server_version};

/// Probes under way at once.
const PROBES: usize = 8;
/// Without the Lease, commits are tried this long after the last answer can have come.
const LAST_COMMITS: Duration = Duration::from_secs(60);

/// Why the operator could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable kubeconfig.
    #[error("no access to a cluster: {0}")]
    Kubeconfig(String),
    /// The admin address can't be used.
    #[error("--admin-address {0}: {1}")]
    Admin(std::net::SocketAddr, std::io::Error),
    /// The journal folder can't be used.
    #[error("--journal-dir: {0}")]
    Journal(std::io::Error),
    /// The proxy or the TLS roots can't be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Another process leads now.
    #[error("the lease was lost; stopping so that two processes never spend one refresh token")]
    LeaseLost,
}

/// Runs until `stopping` or until the Lease is lost; returns when every exchange is committed.
///
/// # Errors
/// What kept it from starting, or [`Error::LeaseLost`].
pub async fn run(args: RunArgs, stopping: CancellationToken) -> Result<(), Error> {
    let config = kubeconfig().await?;
    let lease_namespace =
        args.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let policy = policy(&args, api_server::addresses(&config.cluster_url).await);
    let (client, lease_client) = (client(config.clone())?, client(config)?);
    let metrics = Arc::new(Metrics::new());
    let ready = watch::Sender::new(false);
    // The admin port outlives the rest, so that probes are answered while exchanges are awaited.
    let closing = CancellationToken::new();
    let _close = closing.clone().drop_guard();
    admin::serve(args.admin_address, Arc::clone(&metrics), ready.subscribe(), closing)
        .await
        .map_err(|error| Error::Admin(args.admin_address, error))?;
    let holder = holder();
    let transport = Transport::through(policy, args.proxy.as_ref())?;
    let (journal, left) = what_was_left(&args, &client, &metrics).await?;
    let mut candidate = args.leader_election.then(|| {
        // A connection of its own, so that renewals do not queue behind everything else.
        let identity = format!("{}_{}", host_name(), holder.incarnation);
        Candidate::new(lease_client, &lease_namespace, &args.lease_name, identity)
    });
    if let Some(candidate) = &mut candidate {
        ready.send_replace(true);
        tracing::info!(
            lease = args.lease_name,
            namespace = lease_namespace,
            "waiting for the lease"
        );
        if !candidate.acquire(&stopping).await {
            if !left.unsettled.is_empty() {
                tracing::info!("stopping: answers are committed first");
            }
            // The journal may end with this pod.
            join_all(left.unsettled.into_iter().map(|one| one.task)).await;
            return Ok(());
        }
        ready.send_replace(false);
    }
    tracing::info!("leading");
    metrics.leading(true);
    let parts = Parts {
        client,
        metrics: Arc::clone(&metrics),
        transport,
        policy,
        journal,
        left,
        holder,
        concurrency: usize::from(args.concurrency),
    };
    let work = Work { namespaces: &args.namespaces, parts, ready: &ready };
    let lost = lead(work, candidate.as_mut(), &stopping).await?;
    metrics.leading(false);
    if lost {
        return Err(Error::LeaseLost);
    }
    if let Some(candidate) = candidate {
        candidate.release().await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// In the background: nothing waits for it.
fn say_what_serves(client: &Client) {
    tokio::spawn(server_version::say(client.clone()));
    tokio::spawn(served_schema::say(client.clone()));
}

/// What a leader works with.
struct Parts {
    client: Client,
    metrics: Arc<Metrics>,
    transport: Transport,
    policy: AddressPolicy,
    journal: Option<Journal>,
    left: Held,
    holder: Holder,
    concurrency: usize,
}

struct Work<'a> {
    namespaces: &'a [String],
    parts: Parts,
    ready: &'a watch::Sender<bool>,
}

/// Works as the leader. Returns whether the Lease was lost.
async fn lead(
    work: Work<'_>,
    candidate: Option<&mut Candidate>,
    stopping: &CancellationToken,
) -> Result<bool, Error> {
    let begun = Instant::now();
    say_what_serves(&work.parts.client);
    let stop_work = CancellationToken::new();
    let unlimited = watch::Sender::new(Term { number: 0, until: Duration::MAX });
    let term =
        candidate.as_ref().map_or_else(|| unlimited.subscribe(), |candidate| candidate.term());
    let named = work.namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Some);
    let mut namespaces: Vec<Option<String>> = named.collect();
    if namespaces.is_empty() {
        namespaces.push(None);
    }
    let (scopes, feeds) = namespaces.into_iter().map(Scope::new).unzip();
    let mut parts = work.parts;
    let left = std::mem::take(&mut parts.left);
    let context = Arc::new(context(parts, term, stop_work.clone(), scopes));
    exchange::hold_what_was_left(&context, left);
    let working = work_until_stopped(&context, feeds, work.ready, begun);
    tokio::pin!(working);
    let leased = CancellationToken::new();
    let lease = hold(candidate, &leased);
    tokio::pin!(lease);
    // The Lease is renewed to the very end, also while exchanges are awaited.
    let lost = tokio::select! {
        lost = &mut lease => lost,
        () = stopping.cancelled() => false,
        result = &mut working => return result.map(|()| false),
    };
    tracing::info!(
        lease_lost = lost,
        "stopping: no more token requests; exchanges under way are committed first"
    );
    stop_work.cancel();
    let lost = lost
        || tokio::select! {
            result = &mut working => return result.map(|()| false),
            lost = &mut lease => lost,
        };
    if lost {
        end_without_the_lease(context.journal.as_ref(), working).await?;
    }
    Ok(lost)
}

/// Waits for the exchanges; where all answers are in the journal no longer than it takes to get them, since what can't be
/// written now is written by the container that follows, which serves meanwhile.
async fn end_without_the_lease(
    journal: Option<&Journal>,
    working: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    tokio::pin!(working);
    let answers_are_there = SPEND_TIMEOUT.saturating_add(LAST_COMMITS);
    if let Ok(result) = tokio::time::timeout(answers_are_there, &mut working).await {
        return result;
    }
    if journal.is_some_and(Journal::has_all_answers) {
        tracing::error!(
            "answers are not committed yet; the journal keeps them for the next container"
        );
        return Ok(());
    }
    working.await
}

fn context(
    parts: Parts,
    term: watch::Receiver<Term>,
    stopping: CancellationToken,
    scopes: Vec<Scope>,
) -> Context {
    Context {
        secrets: Secrets::new(parts.client.clone()),
        transport: parts.transport,
        policy: parts.policy,
        index: Index::default(),
        notes: Notes::default(),
        homes: Homes::default(),
        probes: Turns::new(PROBES),
        clock: Clock::start(),
        events: Events::new(parts.client.clone(), host_name()),
        metrics: parts.metrics,
        journal: parts.journal,
        holder: parts.holder,
        exchanges: TaskTracker::new(),
        slots: Slots::new(parts.concurrency),
        term,
        stopping,
        scopes,
        discoveries: Discoveries::default(),
        checked: Checked::default(),
        reports: Reports::default(),
        client: parts.client,
    }
}

async fn hold(candidate: Option<&mut Candidate>, done: &CancellationToken) -> bool {
    if let Some(candidate) = candidate {
        candidate.hold(done).await
    } else {
        done.cancelled().await;
        false
    }
}

/// Makes passes in every scope until told to stop, and waits for the exchanges.
async fn work_until_stopped(
    context: &Arc<Context>,
    feeds: Vec<Feed>,
    ready: &watch::Sender<bool>,
    begun: Instant,
) -> Result<(), Error> {
    let synced: Vec<Synced> = feeds.iter().map(|_| Synced::new()).collect();
    let passes = feeds
        .into_iter()
        .zip(&synced)
        .map(|(feed, synced)| watches::run(Arc::clone(context), feed, synced.clone()));
    let announce = async {
        join_all(synced.iter().map(Synced::wait)).await;
        context.metrics.synced(begun.elapsed());
        ready.send_replace(true);
        tracing::info!("ready");
    };
    let beside = async {
        tokio::join!(
            watches::clock(context),
            context.slots.keep_time(),
            keeper::run(Arc::clone(context)),
            report::run(Arc::clone(context))
        )
    };
    let all = async { tokio::join!(join_all(passes), announce, beside) };
    tokio::select! {
        _ = all => {}
        () = context.stopping.cancelled() => {}
    }
    context.exchanges.close();
    context.exchanges.wait().await;
    Ok(())
}

fn policy(args: &RunArgs, api_server: &'static [IpAddr]) -> AddressPolicy {
    AddressPolicy {
        allow_http: args.allow_http,
        allow_loopback: args.allow_loopback,
        deny_private: args.deny_private_addresses,
        api_server,
    }
}

/// Opens the journal and commits what an earlier process of this pod left, before the Lease is waited for: its successor
/// may be another pod, which can't see this journal. Not given up when the end of all work comes: the journal may end with
/// this pod.
async fn what_was_left(
    args: &RunArgs,
    client: &Client,
    metrics: &Arc<Metrics>,
) -> Result<(Option<Journal>, Held), Error> {
    let Some(folder) = &args.journal_dir else { return Ok((None, Held::default())) };
    let journal = Journal::in_folder(folder).map_err(Error::Journal)?;
    let secrets = Secrets::new(client.clone());
    let left = replay::all(&secrets, &journal, metrics).await.map_err(Error::Journal)?;
    Ok((Some(journal), left))
}

async fn kubeconfig() -> Result<Config, Error> {
    let mut config = Config::infer().await.map_err(|error| Error::Kubeconfig(error.to_string()))?;
    // Leases and state writes decide for themselves when to try again.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(10));
    Ok(config)
}

fn client(config: Config) -> Result<Client, Error> {
    Client::try_from(config).map_err(|error| Error::Kubeconfig(error.to_string()))
}

/// Who this process is. The UID of its pod is the same for each container it starts. Outside a pod nobody is: then a claim
/// of an earlier process is respected as one of another pod.
fn holder() -> Holder {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Holder {
        pod: set("POD_UID").unwrap_or_else(|| Uuid::new_v4().to_string()),
        name: set("POD_NAME"),
        namespace: set("POD_NAMESPACE"),
        incarnation: Uuid::new_v4().to_string(),
    }
}

/// A name for people to read in the Lease and in events.
fn host_name() -> String {
    let name = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    name.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "oauth-keeper".to_owned())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_the_lease_only_what_is_in_the_journal_is_left_to_the_next_container() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_folder(folder.path()).unwrap();
        let begun = tokio::time::Instant::now();
        assert!(end_without_the_lease(Some(&journal), pending()).await.is_ok());
        assert!(begun.elapsed() > SPEND_TIMEOUT, "an answer may come until then");
        let day = Duration::from_secs(86_400);
        let without = tokio::time::timeout(day, end_without_the_lease(None, pending())).await;
        assert!(without.is_err(), "what is in memory alone is not given up");
    }
}
