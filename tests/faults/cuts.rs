//! Answers cut at every place: a refresh token that arrived whole is kept, whatever else of the answer did not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use oauth_keeper_test_support::authorization_server::{AuthorizationServer, ServerOptions};
use oauth_keeper_test_support::cutting_proxy::{CuttingProxy, Fate, Passage};
use oauth_keeper_test_support::oidc_provider::{OidcClient, OidcProvider, POST_CLIENT};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::json;

use crate::oracle::{self, Loss};
use crate::pod::Pod;
use crate::scene::WINDOW;
use crate::stage::{SOON, Stage, Watched, quick, source_of, spec, with};

/// Long enough for all first exchanges before the first second one.
const LIFETIME: Duration = Duration::from_secs(15);
/// Between two cuts, away from the refresh token.
const STEP: usize = 23;
/// So many bytes before and after the refresh token begins and ends are all cut at.
const AROUND: usize = 3;
/// Before the refresh token of an answer.
const BEFORE_TOKEN: &[u8] = b"\"refresh_token\":\"";

/// A credential whose second answer is cut.
struct Cut {
    name: String,
    proxy: CuttingProxy,
}

/// Begin and end of the refresh token in an answer, quotes included.
fn token_in(response: &[u8]) -> (usize, usize) {
    let found = response.windows(BEFORE_TOKEN.len()).position(|window| window == BEFORE_TOKEN);
    let begin = found.expect("the answer has one") + BEFORE_TOKEN.len() - 1;
    let length = response[begin + 1..].iter().position(|byte| *byte == b'"');
    (begin, begin + 2 + length.expect("its end is marked"))
}

/// Places to cut an answer like this one at.
fn places(response: &[u8]) -> Vec<usize> {
    let (begin, end) = token_in(response);
    let around = |place: usize| place - AROUND..=place + AROUND;
    let mut places: Vec<usize> = (0..=response.len()).step_by(STEP).collect();
    places.extend(around(begin).chain(around(end)));
    places.push(response.len() - 1);
    places.retain(|place| *place <= response.len());
    places.sort_unstable();
    places.dedup();
    places
}

impl Cut {
    /// A new credential behind a proxy that cuts its second answer there.
    async fn new(stage: &Stage, name: &str, upstream: &Upstream, place: Option<usize>) -> Self {
        let proxy = CuttingProxy::start(upstream.address()).await;
        proxy.set_policy(move |connection| match place {
            Some(place) if connection == 2 => Fate::CutAfter(place),
            _ => Fate::Pass,
        });
        stage.source(&source_of(name), &upstream.keys(name).await).await;
        let spec = quick(spec(name, &proxy.url("/token")));
        let provider = json!({"reuseGrace": format!("{}s", upstream.grace().as_secs())});
        let spec = with(spec, json!({"provider": provider, "renewal": {"renewBefore": "60%"}}));
        stage.credential(name, spec).await;
        Self { name: name.to_owned(), proxy }
    }

    /// Waits for the answer on that connection.
    async fn passage(&self, connection: u64) -> Passage {
        let what = format!("{}: answer {connection} passed", self.name);
        wait::until(&what, SOON, || async {
            let mut passages = self.proxy.take_passages().into_iter();
            passages.find(|passage| passage.connection == connection)
        })
        .await
    }

    /// Whether the refresh token of the second answer came through whole.
    async fn came_through(&self) -> bool {
        let passage = self.passage(2).await;
        passage.passed >= token_in(&passage.response).1
    }
}

/// Who answers.
enum Upstream {
    Small(AuthorizationServer, Option<Duration>),
    Certified(OidcProvider),
}

impl Upstream {
    async fn small(window: Option<Duration>) -> Self {
        let server = AuthorizationServer::start(ServerOptions {
            access_token_lifetime: LIFETIME,
            reuse_window: window,
            ..ServerOptions::default()
        });
        Self::Small(server.await, window)
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Small(server, _) => server.address(),
            Self::Certified(provider) => provider.address(),
        }
    }

    fn grace(&self) -> Duration {
        match self {
            Self::Small(_, window) => window.unwrap_or_default(),
            Self::Certified(_) => Duration::ZERO,
        }
    }

    /// The keys of a source with a new seed.
    async fn keys(&self, name: &str) -> [(&'static str, String); 3] {
        let (id, secret, seed) = match self {
            Self::Small(server, _) => (name.to_owned(), server.client_secret(name), server.seed()),
            Self::Certified(provider) => {
                let OidcClient { id, secret } = POST_CLIENT;
                (id.to_owned(), secret.to_owned(), provider.seed(POST_CLIENT).await)
            }
        };
        [("client_id", id), ("client_secret", secret), ("refresh_token", seed)]
    }

    async fn is_live(&self, refresh_token: &str) -> bool {
        match self {
            Self::Small(server, _) => server.is_live(refresh_token),
            Self::Certified(provider) => provider.inspect(refresh_token).await.live,
        }
    }

    async fn reuses(&self) -> u64 {
        match self {
            Self::Small(server, _) => server.counts().reuses,
            Self::Certified(provider) => provider.stats().await.reuses,
        }
    }
}

/// A server's answers, all cut at their places.
struct Cuts {
    stage: Stage,
    pod: Pod,
    operator: Watched,
    upstream: Upstream,
    all: Vec<Cut>,
}

impl Cuts {
    async fn of(upstream: Upstream, stage: Stage) -> Self {
        let pod = Pod::mortal(&stage, "first");
        let operator = pod.container().await;
        // An answer that is not cut tells where the refresh token is.
        let probe = Cut::new(&stage, "probe", &upstream, None).await;
        let places = places(&probe.passage(1).await.response);
        let mut all = Vec::new();
        for place in places {
            let name = format!("cut-{place:04}");
            all.push(Cut::new(&stage, &name, &upstream, Some(place)).await);
        }
        Self { stage, pod, operator, upstream, all }
    }

    /// After the end of the operator: the newest stored tokens of these credentials are live.
    async fn live(&self, cuts: &[&Cut]) {
        assert!(self.operator.stop().await.success(), "{}", self.operator.log());
        for cut in cuts {
            let newest = oracle::newest(&self.stage, &cut.name).await;
            assert!(self.upstream.is_live(&newest).await, "{}: {newest} is dead", cut.name);
        }
        assert_eq!(self.pod.journal(), [""; 0]);
    }

    /// A strict server: what came through whole is kept, and the rest is not sent again before the hold ends.
    async fn cost_no_token_that_came_through(&self) {
        // All at once: who is refused is asked for once more a minute later, which is no part of this.
        let outcomes = join_all(self.all.iter().map(|cut| self.is_kept(cut))).await;
        let kept: Vec<&Cut> =
            self.all.iter().zip(&outcomes).filter(|(_, kept)| **kept).map(|(cut, _)| cut).collect();
        let lost = (self.all.len() - kept.len()) as u64;
        let reuses = self.upstream.reuses().await;
        self.live(&kept).await;
        assert!(kept.len() > AROUND && lost > 1, "{} kept and {lost} lost", kept.len());
        // On a slow machine the minute may be over for some.
        assert!((lost..=2 * lost).contains(&reuses), "{lost} lost, {reuses} sent again");
    }

    /// Waits for the outcome: the refresh token came through and is kept, or it is lost.
    async fn is_kept(&self, cut: &Cut) -> bool {
        let came_through = cut.came_through().await;
        if came_through {
            self.stage.revision(&cut.name, 3).await;
        } else {
            self.is_lost(cut).await;
        }
        came_through
    }

    async fn is_lost(&self, cut: &Cut) {
        match &self.upstream {
            Upstream::Small(server, _) => {
                oracle::is_lost(&self.stage, &cut.name, server, Loss::ResponseLost).await;
            }
            Upstream::Certified(_) => oracle::is_rejected(&self.stage, &cut.name).await,
        }
    }
}

pub async fn a_strict_server_whose_answer_is_cut_is_not_asked_again_before_the_hold_ends(
    env: Arc<Env>,
) {
    let stage = Stage::new(env, "cut-strict").await;
    Cuts::of(Upstream::small(None).await, stage).await.cost_no_token_that_came_through().await;
}

pub async fn the_certified_provider_whose_answer_is_cut_is_not_asked_again_before_the_hold_ends(
    env: Arc<Env>,
) {
    let stage = Stage::new(env, "cut-certified").await;
    let provider = OidcProvider::start_with(LIFETIME).await;
    let cuts = Cuts::of(Upstream::Certified(provider), stage).await;
    cuts.cost_no_token_that_came_through().await;
}

pub async fn with_a_reuse_window_no_cut_costs_the_token(env: Arc<Env>) {
    let stage = Stage::new(env, "cut-window").await;
    let cuts = Cuts::of(Upstream::small(Some(WINDOW)).await, stage).await;
    for cut in &cuts.all {
        cuts.stage.revision(&cut.name, 3).await;
    }
    cuts.live(&cuts.all.iter().collect::<Vec<_>>()).await;
    assert_eq!(cuts.upstream.reuses().await, 0);
}
