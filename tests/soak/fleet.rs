//! The credentials, their strict authorization server, and somebody who signs in again where a token was lost.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use oauth_keeper_test_support::authorization_server::{AuthorizationServer, Counts, ServerOptions};
use oauth_keeper_test_support::cutting_proxy::{CuttingProxy, Fate, Passage};
use serde_json::json;

use crate::cause::{self, Cause, Rotation};
use crate::diary::Diary;
use crate::stage::{Stage, quick, source_of, spec, with};

/// How long access tokens live.
const LIFETIME: Duration = Duration::from_secs(5);
/// How often somebody looks for lost tokens.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A refresh token that was lost.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Whose.
    pub name: String,
    /// Why.
    pub cause: Cause,
    /// What is known of it, for people.
    pub evidence: String,
}

pub struct Fleet {
    server: AuthorizationServer,
    proxy: CuttingProxy,
    /// Lineages by credential.
    lineages: Mutex<HashMap<String, usize>>,
    /// The first answer to each refresh token.
    rotations: Mutex<HashMap<String, Rotation>>,
    losses: Mutex<Vec<Loss>>,
}

impl Fleet {
    /// Makes so many credentials, and waits until they are ready.
    pub async fn start(stage: &Stage, size: usize) -> Self {
        let server = AuthorizationServer::start(ServerOptions {
            access_token_lifetime: LIFETIME,
            ..ServerOptions::default()
        })
        .await;
        let proxy = CuttingProxy::start(server.address()).await;
        let mut lineages = HashMap::new();
        for name in (0..size).map(|number| format!("c-{number:03}")) {
            let strict = json!({
                "provider": {"reuseGrace": "0s"},
                "renewal": {"renewBefore": "2s"},
            });
            let spec = with(quick(spec(&name, &proxy.url("/token"))), strict);
            let seed = stage.refreshing(&name, &server, spec).await;
            lineages.insert(name, server.lineage_of(&seed).expect("it is new"));
        }
        for name in lineages.keys() {
            stage.ready(name).await;
        }
        Self {
            server,
            proxy,
            lineages: Mutex::new(lineages),
            rotations: Mutex::default(),
            losses: Mutex::default(),
        }
    }

    pub fn counts(&self) -> Counts {
        self.server.counts()
    }

    /// Cuts the next so many answers after so many bytes.
    pub fn cut(&self, answers: usize, bytes: usize) {
        for _ in 0..answers {
            self.proxy.queue(Fate::CutAfter(bytes));
        }
    }

    /// No answer is cut any more.
    pub fn calm(&self) {
        self.proxy.clear_queue();
    }

    /// Signs in again wherever the server ended a lineage, for ever.
    pub async fn sign_in_again(&self, stage: &Stage, diary: &Diary) {
        loop {
            self.take_passages();
            let lineages = lock(&self.lineages).clone();
            for (name, lineage) in lineages {
                if self.server.lineage(lineage).ended.is_some() {
                    self.lost(&name, lineage, diary);
                    self.sign_in(stage, &name).await;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn lost(&self, name: &str, lineage: usize, diary: &Diary) {
        let reused = self.server.lineage(lineage).reused.expect("it ended by a reuse");
        let loss = self.loss(name, lineage, &reused, diary);
        lock(&self.losses).push(loss);
    }

    /// The API server may be away: then again later.
    async fn sign_in(&self, stage: &Stage, name: &str) {
        let seed = self.server.seed();
        let lineage = self.server.lineage_of(&seed).expect("it is new");
        let patch = Patch::Merge(json!({"stringData": {"refresh_token": seed}}));
        let params = PatchParams::default();
        while stage.secrets().patch(&source_of(name), &params, &patch).await.is_err() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        lock(&self.lineages).insert(name.to_owned(), lineage);
    }

    /// Nothing runs any more: all losses, with those that no reuse has shown yet.
    pub async fn losses(&self, stage: &Stage, diary: &Diary) -> Vec<Loss> {
        self.take_passages();
        let mut losses = lock(&self.losses).clone();
        let lineages = lock(&self.lineages).clone();
        for (name, lineage) in lineages {
            let record = stage.state_record(&name).await;
            let stored = record["refreshToken"].as_str().unwrap_or_default().to_owned();
            if self.server.is_live(&stored) {
                continue;
            }
            // A seed that was not taken up yet is as good.
            let newest = self.server.lineage(lineage);
            if newest.rotations == 0 && newest.ended.is_none() {
                continue;
            }
            let spent = newest
                .reused
                .unwrap_or_else(|| spent_last(&stored, &newest.seed, &self.server, lineage));
            losses.push(self.loss(&name, lineage, &spent, diary));
        }
        losses
    }

    /// The loss of what replaced that token.
    fn loss(&self, name: &str, lineage: usize, spent: &str, diary: &Diary) -> Loss {
        let rotation = lock(&self.rotations).get(spent).copied();
        let lineage = self.server.lineage(lineage);
        let time = |time: SystemTime| Timestamp::try_from(time).map(|time| time.to_string());
        let evidence = format!(
            "{spent} was replaced by {} (asked for {:?}, came through: {:?}), and used again {:?}",
            lineage.newest,
            rotation.map(|rotation| time(rotation.asked_at)),
            rotation.map(|rotation| rotation.came_through),
            lineage.reused_at.map(time),
        );
        Loss { name: name.to_owned(), cause: cause::of(spent, rotation, diary), evidence }
    }

    fn take_passages(&self) {
        let mut rotations = lock(&self.rotations);
        for passage in self.proxy.take_passages() {
            if let Some((spent, rotation)) = rotation(&passage) {
                rotations.entry(spent).or_insert(rotation);
            }
        }
    }
}

/// The token whose successor is not stored: the stored one, or the seed where nothing of the lineage was stored.
fn spent_last(stored: &str, seed: &str, server: &AuthorizationServer, lineage: usize) -> String {
    let token = if server.lineage_of(stored) == Some(lineage) { stored } else { seed };
    token.to_owned()
}

/// The refresh token that an answer replaced, if it did.
fn rotation(passage: &Passage) -> Option<(String, Rotation)> {
    const BEFORE_TOKEN: &[u8] = b"\"refresh_token\":\"";
    let form = passage.request.form();
    let spent = form.into_iter().find(|(field, _)| field == "refresh_token")?.1;
    let answer = &passage.response;
    let found = answer.windows(BEFORE_TOKEN.len()).position(|window| window == BEFORE_TOKEN)?;
    let begin = found + BEFORE_TOKEN.len();
    let length = answer[begin..].iter().position(|byte| *byte == b'"')?;
    let came_through = passage.passed > begin + length;
    let asked_at = SystemTime::now() - passage.request.at.elapsed();
    Some((spent, Rotation { asked_at, came_through }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
