//! What a leader has in safe places at one moment: answers in its journal, and records and claims in states.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;

use crate::env::Env;
use crate::pods::container_id;
use crate::stage::Stage;

/// How the chart calls the volume of the journal.
const VOLUME: &str = "journal";

/// As of a moment at which nothing of the leader ran.
pub struct Kept {
    /// The journal and all records, as they are.
    text: String,
    /// Names of states with a claim.
    claimed: BTreeSet<String>,
}

impl Kept {
    /// Freezes the leader and looks. It is to be killed then, and never goes on.
    pub async fn by(leader: &Pod, stage: &Stage<Env>) -> Self {
        let cluster = &stage.env.cluster;
        cluster.freeze_container(&container_id(leader).expect("it runs")).await;
        let uid = leader.metadata.uid.as_deref().expect("a pod has a UID");
        let mut kept = Self { text: String::new(), claimed: BTreeSet::new() };
        let journal = cluster.memory_volume(uid, VOLUME);
        for file in std::fs::read_dir(journal).expect("the journal is there").flatten() {
            let bytes = std::fs::read(file.path()).expect("it can be read");
            kept.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        let secrets = stage.secrets().list(&ListParams::default()).await;
        for secret in secrets.expect("Secrets can be listed") {
            kept.add(&secret);
        }
        kept
    }

    fn add(&mut self, secret: &Secret) {
        let name = secret.metadata.name.clone().unwrap_or_default();
        let data = secret.data.iter().flatten();
        for (key, value) in data.filter(|_| name.ends_with("-oauth-state")) {
            if key == "claim" {
                self.claimed.insert(name.clone());
            } else {
                self.text.push_str(&String::from_utf8_lossy(&value.0));
            }
        }
    }

    /// Whether this refresh token was in a safe place.
    pub fn has(&self, token: &str) -> bool {
        self.text.contains(token)
    }

    /// Whether an exchange of the credential was under way.
    pub fn has_claim_of(&self, credential: &str) -> bool {
        self.claimed.contains(&crate::stage::state_of(credential))
    }
}
