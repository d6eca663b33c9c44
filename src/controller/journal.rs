//! The journal: the raw answer of each exchange that is not committed yet, in a folder that outlives the process, such as
//! a memory volume of the pod. A process that starts deals with what it finds there before it does anything else.
//!
//! One file for each exchange: a line that says what is spent, a line once it is being sent, a line about the answer, and
//! the answer's bytes as they came.

use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::lifecycle::record::Owners;
use crate::lifecycle::resolve::Reading;
use crate::lifecycle::rotation::commit::{RefreshTerms, Spent};
use crate::oauth::cookies::MAX_SET_COOKIE_BYTES;
use crate::oauth::response::{Ending, MAX_BODY_BYTES, RawResponse, ResponseStyle};
use crate::oauth::secret::RefreshToken;

use super::state::Place;

/// Room for the line about the answer. A character of a cookie takes up to two in it.
const ANSWER_LINE: u64 = 1024 + 2 * MAX_SET_COOKIE_BYTES as u64;
const EXTENSION: &str = "journal";

/// The folder.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
    /// Whether an answer could not be written.
    lacks_an_answer: Arc<AtomicBool>,
}

/// A place for one answer, made before the token is sent so that a full disk is known in time. Locked, so that another
/// process leaves it alone.
#[derive(Clone, Debug)]
pub struct Slot {
    path: PathBuf,
    file: Arc<File>,
    lacks_an_answer: Arc<AtomicBool>,
}

/// What is spent: all that is needed to commit the answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Namespace of the state.
    pub namespace: String,
    /// Name of the state Secret.
    pub state: String,
    /// Name of the credential.
    pub credential: String,
    /// Id of the exchange, as in its claim.
    pub exchange: String,
    base_generation: i64,
    floor: i64,
    seed: String,
    token: String,
    new_lineage: bool,
    salt: String,
    request: String,
    endpoint: String,
    client: String,
    source_version: String,
    owners: Owners,
    write_back: bool,
    refresh_terms: RefreshTerms,
    default_lifetime: Option<Duration>,
    response_style: ResponseStyle,
}

/// An exchange as an earlier process left it.
pub struct Left {
    /// What was spent.
    pub entry: Entry,
    /// When the token was sent, if it was.
    pub sent_at: Option<Timestamp>,
    /// The answer, as far as it was written.
    pub answer: Option<RawResponse>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    sent_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    status: u16,
    received_at: Timestamp,
    whole: bool,
    bytes: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    set_cookies: Vec<Cow<'a, str>>,
}

impl Entry {
    /// Gathers an entry.
    pub fn new(place: &Place, exchange: &str, spent: &Spent, reading: Reading<'_>) -> Self {
        Self {
            namespace: place.namespace.clone(),
            state: place.name.clone(),
            credential: place.credential.clone(),
            exchange: exchange.to_owned(),
            base_generation: spent.base_generation,
            floor: spent.floor,
            seed: spent.seed.expose().to_owned(),
            token: spent.token.expose().to_owned(),
            new_lineage: spent.new_lineage,
            salt: spent.salt.clone(),
            request: spent.request.clone(),
            endpoint: spent.endpoint.clone(),
            client: spent.client.clone(),
            source_version: spent.source_version.clone(),
            owners: spent.owners.clone(),
            write_back: spent.write_back,
            refresh_terms: spent.refresh_terms,
            default_lifetime: reading.default_lifetime,
            response_style: reading.style.clone(),
        }
    }

    /// Where its state is.
    pub fn place(&self) -> Place {
        Place {
            namespace: self.namespace.clone(),
            name: self.state.clone(),
            credential: self.credential.clone(),
        }
    }

    /// What was spent.
    pub fn spent(&self) -> Spent {
        Spent {
            seed: RefreshToken::new(self.seed.as_str()),
            token: RefreshToken::new(self.token.as_str()),
            new_lineage: self.new_lineage,
            salt: self.salt.clone(),
            base_generation: self.base_generation,
            floor: self.floor,
            request: self.request.clone(),
            endpoint: self.endpoint.clone(),
            client: self.client.clone(),
            source_version: self.source_version.clone(),
            owners: self.owners.clone(),
            write_back: self.write_back,
            refresh_terms: self.refresh_terms,
        }
    }

    /// Lifetime of an access token whose response has none.
    pub fn default_lifetime(&self) -> Option<Duration> {
        self.default_lifetime
    }

    /// How its answer is read.
    pub fn response_style(&self) -> &ResponseStyle {
        &self.response_style
    }
}

impl Journal {
    /// Opens the folder, making it if it is not there, for this user alone.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned(), lacks_an_answer: Arc::default() })
    }

    /// Whether every answer that came since it was opened was written.
    pub fn has_all_answers(&self) -> bool {
        !self.lacks_an_answer.load(Ordering::Relaxed)
    }

    /// Makes a place for one answer, with room for the largest.
    ///
    /// # Errors
    /// When it can't; then nothing may be sent.
    pub async fn reserve(&self, entry: &Entry) -> io::Result<Slot> {
        let path = self.folder.join(format!("{}.{EXTENSION}", entry.exchange));
        let (folder, lacks_an_answer) = (self.folder.clone(), Arc::clone(&self.lacks_an_answer));
        let line = line(entry)?;
        blocking(move || {
            let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path)?;
            let slot = Slot { path, file: Arc::new(file), lacks_an_answer };
            let prepared = slot.prepare(&line).and_then(|()| File::open(folder)?.sync_all());
            if prepared.is_err() {
                slot.remove();
            }
            prepared.map(|()| slot)
        })
        .await
    }

    /// What earlier processes left, with the places to be given up. A file that can't be understood is left where it is.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub async fn left(&self) -> io::Result<Vec<(Left, Slot)>> {
        let folder = self.folder.clone();
        blocking(move || {
            let mut left = Vec::new();
            for file in std::fs::read_dir(folder)? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == EXTENSION) {
                    left.extend(read(path)?);
                }
            }
            Ok(left)
        })
        .await
    }
}

/// Reads one file; nothing when another process is at it, or when it is no journal entry.
fn read(path: PathBuf) -> io::Result<Option<(Left, Slot)>> {
    let file = OpenOptions::new().append(true).open(&path)?;
    if file.try_lock().is_err() {
        tracing::warn!(file = %path.display(), "journal entry belongs to a process that runs; left alone");
        return Ok(None);
    }
    let bytes = Zeroizing::new(std::fs::read(&path)?);
    let slot = Slot { path, file: Arc::new(file), lacks_an_answer: Arc::default() };
    if bytes.is_empty() {
        // Its process ended before it had written what it was about to spend.
        slot.remove();
        return Ok(None);
    }
    let Some(left) = understand(&bytes) else {
        tracing::error!(file = %slot.path.display(), "journal entry can't be read; it is left where it is");
        return Ok(None);
    };
    Ok(Some((left, slot)))
}

/// Reads the bytes of a file; of one that was cut short as much as is there.
fn understand(bytes: &[u8]) -> Option<Left> {
    let (entry, rest) = take_line::<Entry>(bytes)?;
    let Some((sent, rest)) = take_line::<Sent>(rest) else {
        return Some(Left { entry, sent_at: None, answer: None });
    };
    let answer = take_line::<Answer<'_>>(rest).map(|(answer, rest)| {
        let body = rest.get(..answer.bytes).unwrap_or(rest);
        let whole = answer.whole && body.len() == answer.bytes;
        RawResponse {
            status: answer.status,
            retry_after: None,
            received_at: answer.received_at,
            ending: if whole { Ending::Whole } else { Ending::BrokenOff },
            body: Zeroizing::new(body.to_vec()),
            set_cookies: answer
                .set_cookies
                .into_iter()
                .map(Cow::into_owned)
                .map(Zeroizing::new)
                .collect(),
        }
    });
    Some(Left { entry, sent_at: Some(sent.sent_at), answer })
}

fn take_line<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((serde_json::from_slice(line).ok()?, rest.get(1..)?))
}

fn line(value: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(serde_json::to_vec(value)?);
    line.push(b'\n');
    Ok(line)
}

impl Slot {
    fn prepare(&self, line: &[u8]) -> io::Result<()> {
        self.file.try_lock().map_err(io::Error::from)?;
        (&*self.file).write_all(line)?;
        let room = ANSWER_LINE
            .saturating_add(u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX))
            .saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        match fallocate(&*self.file, FallocateFlags::KEEP_SIZE, 0, room) {
            // A file system that can't promise room: then the write itself must do.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
        self.file.sync_all()
    }

    /// Notes that the token is about to be sent.
    ///
    /// # Errors
    /// When it can't be written; then nothing may be sent.
    pub async fn sending(&self, sent_at: Timestamp) -> io::Result<()> {
        self.append(line(&Sent { sent_at })).await
    }

    /// Writes the answer through to the disk.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn write(&self, raw: &RawResponse) -> io::Result<()> {
        let answer = Answer {
            status: raw.status,
            received_at: raw.received_at,
            whole: raw.ending == Ending::Whole,
            bytes: raw.body.len(),
            set_cookies: raw.set_cookies.iter().map(|text| text.as_str().into()).collect(),
        };
        let text = line(&answer).map(|mut line| {
            line.extend_from_slice(&raw.body);
            line
        });
        self.append(text).await.inspect_err(|_| {
            self.lacks_an_answer.store(true, Ordering::Relaxed);
        })?;
        self.give_room_back().await;
        Ok(())
    }

    /// What was held for the largest answer: this one may have to stay for long.
    async fn give_room_back(&self) {
        let file = Arc::clone(&self.file);
        let given = blocking(move || file.set_len(file.metadata()?.len())).await;
        if let Err(error) = given {
            tracing::debug!(%error, "room in the journal not given back");
        }
    }

    async fn append(&self, text: io::Result<Zeroizing<Vec<u8>>>) -> io::Result<()> {
        let (file, text) = (Arc::clone(&self.file), text?);
        blocking(move || {
            (&*file).write_all(&text)?;
            file.sync_data()
        })
        .await
    }

    /// Gives the place up, once the answer is in the state or needed no more.
    pub async fn free(&self) {
        // A failed removal is said in the log; at the next start the entry is found to be of no use.
        let _ = blocking({
            let slot = self.clone();
            move || {
                slot.remove();
                Ok(())
            }
        })
        .await;
    }

    fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "journal entry not removed");
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let spent = Spent {
            seed: RefreshToken::new("s"),
            token: RefreshToken::new("t"),
            new_lineage: false,
            salt: "salt".into(),
            base_generation: 3,
            floor: 3,
            request: "q".into(),
            endpoint: "https://as.example".into(),
            client: "c".into(),
            source_version: "7".into(),
            owners: Owners::default(),
            write_back: false,
            refresh_terms: RefreshTerms::default(),
        };
        let place =
            Place { namespace: "n".into(), name: "c-oauth-state".into(), credential: "c".into() };
        let style = ResponseStyle::default();
        Entry::new(&place, "x", &spent, Reading { style: &style, default_lifetime: None })
    }

    fn file(answer: bool) -> Vec<u8> {
        let mut bytes = line(&entry()).unwrap().to_vec();
        bytes.extend(line(&Sent { sent_at: Timestamp::UNIX_EPOCH }).unwrap().iter());
        if answer {
            let answer = Answer {
                status: 200,
                received_at: Timestamp::UNIX_EPOCH,
                whole: true,
                bytes: 24,
                set_cookies: vec!["a=\"1\"; Path=/".into()],
            };
            bytes.extend(line(&answer).unwrap().iter());
            bytes.extend(br#"{"refresh_token":"abcd"}"#);
        }
        bytes
    }

    #[test]
    fn a_file_tells_how_far_its_exchange_came() {
        let only_entry = line(&entry()).unwrap();
        let left = understand(&only_entry).unwrap();
        assert!(left.sent_at.is_none() && left.answer.is_none());
        let left = understand(&file(false)).unwrap();
        assert!(left.sent_at.is_some() && left.answer.is_none());
        let left = understand(&file(true)).unwrap();
        let answer = left.answer.unwrap();
        assert_eq!(answer.ending, Ending::Whole);
        assert_eq!(
            answer.set_cookies.iter().map(|text| text.as_str()).collect::<Vec<_>>(),
            ["a=\"1\"; Path=/"]
        );
        assert_eq!(left.entry.spent().token.expose(), "t");
    }

    #[test]
    fn a_file_cut_at_any_byte_is_never_taken_for_a_whole_answer() {
        let whole = file(true);
        let entry_ends = line(&entry()).unwrap().len();
        for cut in 0..whole.len() {
            let left = understand(&whole[..cut]);
            assert_eq!(left.is_some(), cut >= entry_ends, "{cut}");
            let answer = left.and_then(|left| left.answer);
            assert!(answer.is_none_or(|answer| answer.ending == Ending::BrokenOff), "{cut}");
        }
    }

    #[tokio::test]
    async fn what_is_written_is_found_by_the_next_process_and_not_while_this_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_folder(folder.path()).unwrap();
        let slot = journal.reserve(&entry()).await.unwrap();
        assert!(journal.left().await.unwrap().is_empty(), "it is locked");
        assert!(journal.reserve(&entry()).await.is_err(), "the place is taken");
        slot.sending(Timestamp::UNIX_EPOCH).await.unwrap();
        drop(slot);
        let mut left = journal.left().await.unwrap();
        let (left, slot) = left.pop().unwrap();
        assert!(left.sent_at.is_some());
        slot.free().await;
        assert!(journal.left().await.unwrap().is_empty());
    }
}
