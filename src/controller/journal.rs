//! The journal: the raw answer of each exchange that is not committed yet, in a folder that outlives the process, such as
//! a memory volume of the pod. A process that starts deals with what it finds there before it does anything else.
//! One file for each exchange.

mod format;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use rustix::fs::{FallocateFlags, fallocate};
use tokio::task::spawn_blocking;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::oauth::response::{MAX_BODY_BYTES, RawResponse};

pub use self::format::{Entry, Head, Left};

use self::format::{ANSWER_LINE, about_answer, about_sending, head, line, understand};

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

/// What earlier processes left.
#[derive(Default)]
pub struct Found {
    /// Exchanges, with the places to be given up.
    pub left: Vec<(Left, Slot)>,
    /// Files of which only that can be read whose exchange they are about.
    pub foreign: Vec<Foreign>,
    /// How many files can't be read at all.
    pub unreadable: usize,
}

/// A file in the format of another release, or spoiled behind the members that every release reads.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// Whose exchange it is about.
    pub head: Head,
    /// The file.
    pub path: PathBuf,
}

impl Foreign {
    /// Whether it is still there: that release settles it, or somebody gives it up.
    pub fn is_there(&self) -> bool {
        // What can't be told is as it was.
        self.path.try_exists().unwrap_or(true)
    }

    /// Id of the exchange, which a file is named after in every release. Nothing where somebody gave it another name.
    pub fn exchange(&self) -> Option<&str> {
        let name = self.path.file_stem()?.to_str()?;
        Uuid::try_parse(name).is_ok().then_some(name)
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

    /// What earlier processes left. A file that can't be understood stays where it is.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub async fn left(&self) -> io::Result<Found> {
        let folder = self.folder.clone();
        blocking(move || {
            let mut found = Found::default();
            for file in std::fs::read_dir(folder)? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == EXTENSION) {
                    read(path, &mut found)?;
                }
            }
            Ok(found)
        })
        .await
    }
}

/// Reads one file, unless another process is at it.
fn read(path: PathBuf, found: &mut Found) -> io::Result<()> {
    let file = OpenOptions::new().append(true).open(&path)?;
    if file.try_lock().is_err() {
        tracing::warn!(file = %path.display(), "journal entry belongs to a process that runs; left alone");
        return Ok(());
    }
    let bytes = Zeroizing::new(std::fs::read(&path)?);
    let slot = Slot { path, file: Arc::new(file), lacks_an_answer: Arc::default() };
    if bytes.is_empty() {
        // Its process ended before it had written what it was about to spend.
        slot.remove();
        return Ok(());
    }
    if let Some(left) = understand(&bytes) {
        found.left.push((left, slot));
        return Ok(());
    }
    let file = slot.path.display();
    if let Some(head) = head(&bytes) {
        let Head { version, namespace, credential, .. } = &head;
        if head.is_of_this_format() {
            tracing::error!(%file, namespace, credential, "journal entry is spoiled, and only tells whose it is; its credential is held back");
        } else {
            tracing::error!(%file, version, namespace, credential, "journal entry is in the format of another release of oauth-keeper; its credential is held back");
        }
        found.foreign.push(Foreign { head, path: slot.path.clone() });
    } else {
        tracing::error!(%file, "journal entry can't be read; it is left where it is");
        found.unreadable = found.unreadable.saturating_add(1);
    }
    Ok(())
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
        self.append(about_sending(sent_at)).await
    }

    /// Writes the answer through to the disk.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn write(&self, raw: &RawResponse) -> io::Result<()> {
        let text = about_answer(raw).map(|mut line| {
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
    use super::format::tests::{FIRST, entry};
    use super::*;

    #[tokio::test]
    async fn a_file_of_another_version_stays_where_it_is_and_tells_whose_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_folder(folder.path()).unwrap();
        let path = folder.path().join(format!("later.{EXTENSION}"));
        let text = FIRST.replace(r#""version":1"#, r#""version":2,"unheardOf":[]"#);
        std::fs::write(&path, &text).unwrap();
        let mut found = journal.left().await.unwrap();
        assert!(found.left.is_empty() && found.unreadable == 0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let foreign = found.foreign.remove(0);
        assert_eq!((foreign.head.version, foreign.head.credential.as_str()), (2, "c"));
        assert!(foreign.is_there());
        assert_eq!(foreign.exchange(), None, "nobody names an exchange so");
        // One of a time before there were versions is read.
        std::fs::write(&path, FIRST.replace(r#""version":1,"#, "")).unwrap();
        assert_eq!(journal.left().await.unwrap().left.len(), 1);
        std::fs::remove_file(&path).unwrap();
        assert!(!foreign.is_there());
    }

    #[tokio::test]
    async fn a_spoiled_file_tells_whose_it_is_and_which_exchange_it_is_about() {
        const ID: &str = "6f2c1f0e-5d0c-4f39-9d0e-0d5b8f1c2a3b";
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_folder(folder.path()).unwrap();
        let path = folder.path().join(format!("{ID}.{EXTENSION}"));
        std::fs::write(&path, FIRST.replace(r#""floor":3"#, r#""floor":{}"#)).unwrap();
        let foreign = journal.left().await.unwrap().foreign.remove(0);
        assert!(foreign.head.is_of_this_format());
        assert_eq!(foreign.exchange(), Some(ID));
    }

    #[tokio::test]
    async fn a_file_that_says_nothing_is_counted_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_folder(folder.path()).unwrap();
        let path = folder.path().join(format!("spoiled.{EXTENSION}"));
        std::fs::write(&path, &FIRST[..40]).unwrap();
        let found = journal.left().await.unwrap();
        assert_eq!((found.left.len(), found.foreign.len(), found.unreadable), (0, 0, 1));
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_is_written_is_found_by_the_next_process_and_not_while_this_one_runs() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_folder(folder.path()).unwrap();
        let slot = journal.reserve(&entry()).await.unwrap();
        assert!(journal.left().await.unwrap().left.is_empty(), "it is locked");
        assert!(journal.reserve(&entry()).await.is_err(), "the place is taken");
        slot.sending(Timestamp::UNIX_EPOCH).await.unwrap();
        drop(slot);
        let mut left = journal.left().await.unwrap().left;
        let (left, slot) = left.pop().unwrap();
        assert!(left.sent_at.is_some());
        slot.free().await;
        assert!(journal.left().await.unwrap().left.is_empty());
    }
}
