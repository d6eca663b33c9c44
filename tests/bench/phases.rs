//! One run: a fleet from nothing to renewals, measured phase by phase, on a control plane of its own.

use std::time::{Duration, Instant};

use oauth_keeper_test_support::authorization_server::{AuthorizationServer, ServerOptions};
use oauth_keeper_test_support::chart::{self, OperatorRights};
use oauth_keeper_test_support::control_plane::ControlPlane;

use crate::api_requests::{Background, Requests};
use crate::figures::{Figures, mebibytes, percentile, seconds};
use crate::fleet::{self, Kind, NAMESPACE};
use crate::histogram::Histogram;
use crate::measured_operator::MeasuredOperator;
use crate::observer::Observer;
use crate::plan::Plan;
use crate::process_cost;
use crate::window::{Sources, Spent, Window};

const OPERATOR_NAMESPACE: &str = "oauth-keeper";
/// Long enough that no renewal falls into the phases before the last.
const LONG_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long events and late writes may come in after a phase.
const AFTERMATH: Duration = Duration::from_secs(5);

pub(crate) struct Run<'a> {
    kind: Kind,
    pub(crate) size: usize,
    plan: &'a Plan,
    pub(crate) control_plane: ControlPlane,
    pub(crate) server: AuthorizationServer,
    pub(crate) rights: OperatorRights,
    pub(crate) figures: Figures,
}

/// Measures a fleet of that size.
pub(crate) async fn run(kind: Kind, size: usize, plan: &Plan) -> Figures {
    let begun = Instant::now();
    let say = |what: &str| {
        let (seconds, number) = (begun.elapsed().as_secs(), fleet::number(size));
        eprintln!("{seconds:>5} s  {number} {}: {what}", kind.title());
    };
    say("starting the control plane");
    let mut run = Run::start(kind, size, plan).await;
    say("the operator without credentials");
    run.empty().await;
    say("making the credentials");
    fleet::create(&run.control_plane.client(), kind, size, plan, &run.server).await;
    say("the API server alone");
    let background = Background::measure(&run.control_plane, plan.idle).await;
    let observer = Observer::start(&run.control_plane.client());
    say("first tokens");
    let operator = run.first_tokens(&observer, &background).await;
    say("idle");
    run.idle(&operator, &background).await;
    say("restart with all in order");
    let operator = run.restart(operator, &background).await;
    // A rotating token that got a 503 is held until its access token expires, since it may be spent.
    let with_outage = kind == Kind::ClientCredentials;
    let operator = if with_outage {
        say("restart in an outage, with all due at once");
        run.outage(operator, &observer).await
    } else {
        operator
    };
    say("an edit of every credential, to come to short lifetimes");
    run.shorten(&observer, if with_outage { 3 } else { 2 }).await;
    say("renewals");
    run.renewals(&operator, &observer, &background).await;
    say("stopping");
    operator.stop().await;
    run.control_plane.stop().await;
    run.figures
}

impl<'a> Run<'a> {
    async fn start(kind: Kind, size: usize, plan: &'a Plan) -> Self {
        let control_plane = ControlPlane::start().await;
        for namespace in [OPERATOR_NAMESPACE, NAMESPACE] {
            control_plane.create_namespace(namespace).await;
        }
        let rights = chart::install_operator_rights(&control_plane, OPERATOR_NAMESPACE).await;
        let options =
            ServerOptions { access_token_lifetime: LONG_LIFETIME, ..ServerOptions::default() };
        let server = AuthorizationServer::start(options).await;
        Self { kind, size, plan, control_plane, server, rights, figures: Figures::default() }
    }

    fn sources(&self, operator: Option<&MeasuredOperator>) -> Sources<'_> {
        Sources {
            control_plane: &self.control_plane,
            server: &self.server,
            operator: operator.map(MeasuredOperator::pid),
        }
    }

    async fn empty(&mut self) {
        let operator = MeasuredOperator::start(&self.rights).await;
        tokio::time::sleep(AFTERMATH).await;
        let resident = process_cost::resident(operator.pid());
        self.figures.add("resident memory without credentials", mebibytes(resident));
        operator.stop().await;
    }

    async fn first_tokens(
        &mut self,
        observer: &Observer,
        background: &Background,
    ) -> MeasuredOperator {
        let window = Window::open(self.sources(None)).await;
        let operator = MeasuredOperator::start(&self.rights).await;
        let time = observer.all_targets(self.size).await.duration_since(operator.started);
        observer.all_ready(self.size, 1).await;
        tokio::time::sleep(AFTERMATH).await;
        let spent = window.close(background).await;
        let size = self.size as f64;
        self.figures.add("from process start until all targets exist", seconds(time));
        self.figures.add("- first tokens per second", format!("{:.0}", size / time.as_secs_f64()));
        // The operator was started within the window, so all it has used was for this.
        let used =
            [("operator", process_cost::cpu(operator.pid())), ("API server", spent.cpu.api_server)];
        for (program, cpu) in used {
            let each = cpu.as_secs_f64() * 1000.0 / size;
            self.figures.add(format!("- CPU of the {program} per 1,000"), format!("{each:.2} s"));
        }
        self.requests(&spent.requests, size, "first token");
        operator
    }

    async fn idle(&mut self, operator: &MeasuredOperator, background: &Background) {
        let window = Window::open(self.sources(Some(operator))).await;
        tokio::time::sleep(self.plan.idle).await;
        let spent = window.close(background).await;
        let idle = format!("in {} idle seconds", self.plan.idle.as_secs());
        let requests = spent.requests.reads() + spent.requests.writes();
        let resident = process_cost::resident(operator.pid());
        self.figures.expect(
            format!("API requests {idle}"),
            format!("{requests:.0}"),
            "0 but the lease",
        );
        self.figures.add("- and for the lease", format!("{:.0}", spent.requests.leases()));
        self.figures.add(format!("operator's CPU {idle}"), seconds(spent.cpu.operator));
        self.figures.expect("resident memory, idle", mebibytes(resident), "< 100 MiB at 10,000");
    }

    async fn restart(
        &mut self,
        operator: MeasuredOperator,
        background: &Background,
    ) -> MeasuredOperator {
        operator.stop().await;
        let window = Window::open(self.sources(None)).await;
        let operator = MeasuredOperator::start(&self.rights).await;
        operator.reported("Fresh", self.size).await;
        let looked = operator.started.elapsed();
        tokio::time::sleep(AFTERMATH).await;
        let spent = window.close(background).await;
        warn_of_needless_work(&spent);
        self.figures.add("start with all in order: ready after", seconds(operator.ready_after));
        self.figures.add("- each credential looked at after", seconds(looked));
        self.figures.expect("- token requests made by it", spent.token_requests.to_string(), "0");
        self.figures.expect("- writes made by it", format!("{:.0}", spent.requests.writes()), "0");
        let resident = process_cost::resident(operator.pid());
        self.figures.add("- resident memory then", mebibytes(resident));
        operator
    }

    async fn shorten(&self, observer: &Observer, revision: i64) {
        self.server.set_access_token_lifetime(self.plan.short_lifetime());
        fleet::touch(&self.control_plane.client(), self.size, "short").await;
        observer.all_ready(self.size, revision).await;
    }

    async fn renewals(
        &mut self,
        operator: &MeasuredOperator,
        observer: &Observer,
        background: &Background,
    ) {
        observer.first_renewal().await;
        observer.take_lateness();
        let before = operator.operator.metrics().await;
        let window = Window::open(self.sources(Some(operator))).await;
        tokio::time::sleep(self.plan.renewing).await;
        let spent = window.close(background).await;
        let lateness = observer.take_lateness();
        self.cost_of_renewals(&spent);
        self.lateness(lateness);
        self.own_times(&before, &operator.operator.metrics().await);
        let resident = process_cost::resident(operator.pid());
        self.figures.add("resident memory after renewals", mebibytes(resident));
        self.figures.add("- most since its start", mebibytes(process_cost::peak(operator.pid())));
    }

    fn cost_of_renewals(&mut self, spent: &Spent) {
        let renewals = spent.token_sets as f64;
        let per_thousand =
            |cpu: Duration| format!("{:.2} s", cpu.as_secs_f64() * 1000.0 / renewals);
        let expected_writes = match self.kind {
            Kind::ClientCredentials => "2 with client credentials",
            Kind::RefreshToken => "4 rotating",
        };
        let figures = &mut self.figures;
        let cycle = (self.plan.shortest_cycle().as_secs(), self.plan.longest_cycle.as_secs());
        figures.add("each credential renewed every", format!("{} to {} s", cycle.0, cycle.1));
        figures.add("renewals counted", format!("{renewals:.0}"));
        figures.add("- renewals per second", format!("{:.1}", renewals / spent.time.as_secs_f64()));
        figures.expect(
            "operator's CPU per 1,000 renewals",
            per_thousand(spent.cpu.operator),
            "< 2 s",
        );
        figures.add("- of the API server", per_thousand(spent.cpu.api_server));
        figures.add("- of etcd", per_thousand(spent.cpu.etcd));
        let writes = format!("{:.2}", spent.requests.writes() / renewals);
        figures.expect("API writes per renewal", writes, expected_writes);
        figures.add("API reads per renewal", format!("{:.2}", spent.requests.reads() / renewals));
        self.requests(&spent.requests, renewals, "renewal");
    }

    /// A row for each verb and resource.
    fn requests(&mut self, requests: &Requests, of: f64, what: &str) {
        let each = requests.by_verb_and_resource().map(|(request, count)| (request, count / of));
        for (request, each) in each.filter(|(_, each)| *each >= 0.005) {
            self.figures.add(format!("- {request} per {what}"), format!("{each:.2}"));
        }
    }

    /// How long what the operator does takes, by its own measure; as upper bounds of buckets.
    fn own_times(&mut self, before: &str, after: &str) {
        let histograms = [
            ("exchange, from the first read to the target", "oauth_keeper_exchange_seconds"),
            ("answer received until journaled", "oauth_keeper_answer_journaled_seconds"),
            ("answer received until committed", "oauth_keeper_answer_committed_seconds"),
        ];
        for (what, name) in histograms {
            let seen = Histogram::read(after, name).since(&Histogram::read(before, name));
            for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
                if let Some(time) = seen.quantile(share) {
                    self.figures.add(format!("{what}, {quantile}"), format!("≤ {}", short(time)));
                }
            }
        }
    }

    fn lateness(&mut self, mut lateness: Vec<f64>) {
        lateness.sort_by(f64::total_cmp);
        for (name, percent) in [("p50", 50), ("p99", 99), ("most", 100)] {
            let late = percentile(&lateness, percent);
            let value =
                late.map_or_else(|| "-".to_owned(), |late| format!("{:.0} ms", late * 1000.0));
            self.figures.add(format!("target written after its time, {name}"), value);
        }
    }
}

/// A time that may be far below a millisecond.
fn short(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// Loud, since a start that spends tokens is the worst there could be.
fn warn_of_needless_work(spent: &Spent) {
    let writes = spent.requests.writes();
    if spent.token_requests > 0 || writes > 0.0 {
        let token_requests = spent.token_requests;
        eprintln!(
            "\n!!! A START WITH ALL IN ORDER MADE {token_requests} TOKEN REQUESTS AND {writes:.0} WRITES; BOTH SHOULD BE 0"
        );
        let made = spent.requests.by_verb_and_resource();
        made.for_each(|(what, count)| eprintln!("!!!   {what}: {count:.0}"));
        eprintln!();
    }
}
