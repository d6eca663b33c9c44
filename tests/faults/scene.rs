//! A credential of an authorization server behind a proxy that can hold or cut its answers, and the pod that renews it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oauth_keeper_test_support::authorization_server::{AuthorizationServer, ServerOptions};
use oauth_keeper_test_support::cutting_proxy::{CuttingProxy, Fate};
use oauth_keeper_test_support::operator::Operator;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::oracle;
use crate::pod::Pod;
use crate::stage::{SOON, Stage, quick, source_of, spec, with};

/// Short, so that the hold of an exchange with an unknown outcome ends soon.
pub const SHORT: Duration = Duration::from_secs(10);
/// Of the servers that have one.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The credential is `c`.
pub struct Scene {
    pub stage: Stage,
    pub server: AuthorizationServer,
    pub proxy: CuttingProxy,
    pub pod: Pod,
    window: Option<Duration>,
    renewals: AtomicU32,
}

impl Scene {
    /// With a strict server, whose tokens live that long.
    pub async fn strict(env: Arc<Env>, name: &str, lifetime: Duration) -> Self {
        Self::new(Stage::new(env, name).await, lifetime, None).await
    }

    /// With a server that accepts a token again for a while, and a credential that says so.
    pub async fn with_window(env: Arc<Env>, name: &str, lifetime: Duration) -> Self {
        Self::new(Stage::new(env, name).await, lifetime, Some(WINDOW)).await
    }

    pub async fn new(stage: Stage, lifetime: Duration, window: Option<Duration>) -> Self {
        let server = AuthorizationServer::start(ServerOptions {
            access_token_lifetime: lifetime,
            reuse_window: window,
            ..ServerOptions::default()
        })
        .await;
        let proxy = CuttingProxy::start(server.address()).await;
        let pod = Pod::mortal(&stage, "first");
        Self { stage, server, proxy, pod, window, renewals: AtomicU32::new(0) }
    }

    /// Renewed when a third of its life is over.
    pub fn spec(&self) -> Value {
        let spec = quick(spec("c", &self.proxy.url("/token")));
        let grace = self.window.map_or(0, |window| window.as_secs());
        let provider = json!({"reuseGrace": format!("{grace}s")});
        with(spec, json!({"provider": provider, "renewal": {"renewBefore": "70%"}}))
    }

    /// Makes the credential, and waits for its first token. Gives the seed.
    pub async fn begins(&self) -> String {
        let seed = self.made().await;
        self.stage.ready("c").await;
        seed
    }

    /// Makes the credential, and waits until its first token was given out. Gives the seed.
    pub async fn made(&self) -> String {
        let seed = self.stage.refreshing("c", &self.server, self.spec()).await;
        wait::until("the first token is given out", SOON, || async {
            (self.server.counts().issued > 0).then_some(())
        })
        .await;
        seed
    }

    /// Has another token asked for at once, by another request.
    pub async fn renew(&self) {
        let number = self.renewals.fetch_add(1, Ordering::Relaxed);
        let scopes = json!({"scopes": [format!("scope-{number}")]});
        self.stage.credential("c", with(self.spec(), scopes)).await;
    }

    /// Has another token asked for, and comes back when the server has answered and the proxy holds the answer.
    pub async fn answered(&self) {
        self.proxy.queue(Fate::Stall);
        self.renew().await;
        self.proxy.wait_until_held(1, SOON).await;
    }

    /// Puts a seed into the source.
    pub async fn sign_in(&self, seed: &str) {
        let keys = json!({"stringData": {"refresh_token": seed}});
        self.stage.edit_secret(&source_of("c"), &keys).await;
    }

    /// Waits for that revision, ends the operator and asks the oracle.
    pub async fn goes_on(&self, operator: &Operator, revision: i64) {
        self.stage.revision("c", revision).await;
        self.stage.ready("c").await;
        assert!(operator.stop().await.success(), "{}", operator.log());
        oracle::nothing_is_lost(&self.stage, "c", &self.server).await;
        assert_eq!(self.server.counts().reuses, 0);
    }

    /// How many token requests came.
    pub fn requests(&self) -> u64 {
        self.server.counts().requests
    }
}
