//! Many credentials of one authorization server.

use std::time::Duration;

use oauth_keeper_test_support::authorization_server::AuthorizationServer;
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::Value;

use crate::oracle;
use crate::stage::{Stage, quick, spec, with};

/// For a fleet to get on, with operators that come and go.
const LIMIT: Duration = Duration::from_secs(150);

/// The credentials `c-0`, `c-1`, … and the server, which serves them alone.
pub struct Fleet<E = Env> {
    pub stage: Stage<E>,
    pub server: AuthorizationServer,
    pub names: Vec<String>,
}

impl<E> Fleet<E> {
    pub fn new(stage: Stage<E>, server: AuthorizationServer, size: usize) -> Self {
        let names = (0..size).map(|number| format!("c-{number}")).collect();
        Self { stage, server, names }
    }

    /// Makes them, with this in their specs, and waits until they have tokens.
    pub async fn begins(&self, more: &Value) {
        for name in &self.names {
            let quick = quick(spec(name, &self.server.token_endpoint()));
            self.stage.refreshing(name, &self.server, with(quick, more.clone())).await;
        }
        for name in &self.names {
            self.stage.ready(name).await;
        }
    }

    /// Waits for so many rotations in all.
    pub async fn rotations(&self, number: u64) {
        self.rotations_within(number, LIMIT).await;
    }

    /// The same, where that may take longer.
    pub async fn rotations_within(&self, number: u64, limit: Duration) {
        wait::until_ok(&format!("{number} rotations"), limit, || async {
            let counts = self.server.counts();
            if counts.rotations >= number { Ok(()) } else { Err(format!("{counts:?}")) }
        })
        .await;
    }

    /// Nothing is renewed any more: no token was lost, and none was used twice.
    pub async fn is_whole(&self) {
        for name in &self.names {
            oracle::nothing_is_lost(&self.stage, name, &self.server).await;
        }
        let counts = self.server.counts();
        assert_eq!((counts.reuses, counts.refusals), (0, 0));
    }
}
