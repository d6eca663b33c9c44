//! The journal: the raw answer of each exchange that is not committed yet, in a folder that outlives the process, such as
//! a memory volume of the pod. A process that starts commits what it finds there.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::{Deserialize, Serialize};
use tokio::fs;
use tokio::io::AsyncWriteExt;
use zeroize::Zeroizing;

use crate::lifecycle::rotation::{self, Spent};
use crate::oauth::response::{RawResponse, parse};
use crate::oauth::secret::RefreshToken;

use super::secrets::Secrets;
use super::state::{self, Owner, Place, State};

/// The folder.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
}

/// A place for one answer, made before the request is sent so that a full disk is known in time.
pub struct Slot {
    path: PathBuf,
}

/// An answer with what is needed to commit it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    namespace: String,
    state: String,
    credential: String,
    owner: Option<OwnerReference>,
    exchange: String,
    base_generation: i64,
    seed: String,
    token: String,
    new_lineage: bool,
    salt: String,
    request: String,
    client: String,
    source_version: String,
    sent_at: Timestamp,
    received_at: Timestamp,
    default_lifetime_seconds: Option<u64>,
    status: u16,
    body: String,
}

impl Entry {
    /// Gathers an entry.
    pub fn new(
        place: &Place,
        owner: &Owner,
        exchange: &str,
        spent: &Spent,
        raw: &RawResponse,
        sent_at: Timestamp,
        default_lifetime: Option<Duration>,
    ) -> Self {
        Self {
            namespace: place.namespace.clone(),
            state: place.name.clone(),
            credential: owner.credential.clone(),
            owner: owner.reference.clone(),
            exchange: exchange.to_owned(),
            base_generation: spent.base_generation,
            seed: spent.seed.expose().to_owned(),
            token: spent.token.expose().to_owned(),
            new_lineage: spent.new_lineage,
            salt: spent.salt.clone(),
            request: spent.request.clone(),
            client: spent.client.clone(),
            source_version: spent.source_version.clone(),
            sent_at,
            received_at: raw.received_at,
            default_lifetime_seconds: default_lifetime.map(|lifetime| lifetime.as_secs()),
            status: raw.status,
            body: BASE64.encode(raw.body.as_slice()),
        }
    }

    fn raw(&self) -> Option<RawResponse> {
        let body = Zeroizing::new(BASE64.decode(&self.body).ok()?);
        Some(RawResponse {
            status: self.status,
            retry_after: None,
            received_at: self.received_at,
            body,
        })
    }

    /// Whether the state still lacks this answer: its exchange is the one that is claimed, or nobody committed since.
    fn is_wanted(&self, stored: &State) -> bool {
        let claimed = stored.claim.as_ref().is_some_and(|claim| claim.exchange == self.exchange);
        claimed || stored.generation() <= self.base_generation
    }

    fn spent(&self) -> Spent {
        Spent {
            seed: RefreshToken::new(self.seed.as_str()),
            token: RefreshToken::new(self.token.as_str()),
            new_lineage: self.new_lineage,
            salt: self.salt.clone(),
            base_generation: self.base_generation,
            request: self.request.clone(),
            client: self.client.clone(),
            source_version: self.source_version.clone(),
        }
    }
}

impl Journal {
    /// Opens the folder, making it if it is not there.
    ///
    /// # Errors
    /// When it can't be made or written.
    pub async fn in_folder(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder).await?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Makes a place for one answer and proves that it can be written.
    ///
    /// # Errors
    /// When it can't.
    pub async fn open(&self, exchange: &str) -> io::Result<Slot> {
        let path = self.folder.join(format!("{exchange}.json"));
        let file =
            fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).await?;
        file.sync_all().await?;
        fs::File::open(&self.folder).await?.sync_all().await?;
        Ok(Slot { path })
    }

    /// Commits what an earlier process of this pod left. Ends only when every answer is committed or proved useless.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub async fn replay(&self, secrets: &Secrets) -> io::Result<()> {
        let mut files = fs::read_dir(&self.folder).await?;
        while let Some(file) = files.next_entry().await? {
            let path = file.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let slot = Slot { path };
            let text = Zeroizing::new(fs::read(&slot.path).await?);
            match serde_json::from_slice::<Entry>(&text) {
                Ok(entry) => {
                    replay(secrets, &entry).await;
                    slot.discard().await;
                }
                // Nothing was received, or not all of it was written: the claim in the state tells the rest.
                Err(_) if text.is_empty() => slot.discard().await,
                Err(error) => {
                    tracing::error!(file = %slot.path.display(), line = error.line(), "journal entry can't be read; it is left where it is");
                }
            }
        }
        Ok(())
    }
}

async fn replay(secrets: &Secrets, entry: &Entry) {
    let place = Place { namespace: entry.namespace.clone(), name: entry.state.clone() };
    let Some(Ok(set)) = entry.raw().map(|raw| parse(&raw, true)) else {
        return;
    };
    let stored = state::read_for_replay(secrets, &place).await;
    if !entry.is_wanted(&stored) {
        tracing::info!(
            namespace = place.namespace,
            state = place.name,
            "journaled answer was committed already"
        );
        return;
    }
    let lifespan = rotation::lifespan(
        &set,
        entry.sent_at,
        entry.default_lifetime_seconds.map(Duration::from_secs),
    );
    let record = rotation::commit(stored.record.as_ref(), &entry.spent(), &set, lifespan);
    let owner = Owner { credential: entry.credential.clone(), reference: entry.owner.clone() };
    state::commit(secrets, &place, &owner, stored, &record).await;
    tracing::info!(namespace = place.namespace, state = place.name, "journaled answer committed");
}

impl Slot {
    /// Writes the answer through to the disk.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn write(&self, entry: &Entry) -> io::Result<()> {
        let text = Zeroizing::new(serde_json::to_vec(entry)?);
        let mut file = fs::OpenOptions::new().write(true).truncate(true).open(&self.path).await?;
        file.write_all(&text).await?;
        file.sync_all().await
    }

    /// Removes the answer, once it is in the state.
    pub async fn discard(self) {
        if let Err(error) = fs::remove_file(&self.path).await {
            tracing::warn!(file = %self.path.display(), %error, "journal entry not removed");
        }
    }
}
