//! The folder in which a checkout's cluster is known.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;

use oauth_keeper_test_support::tools;

/// What is in it.
pub(crate) struct Place(PathBuf);

impl Place {
    /// Of this checkout, made if need be.
    pub(crate) fn of_this_checkout() -> io::Result<Self> {
        let folder = tools::repository_root().join("target/cluster");
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// For a person who uses the cluster; there when it is ready.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    /// What `serve` writes.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The way to the API server.
    pub(crate) fn door(&self) -> PathBuf {
        self.0.join("door")
    }

    /// The process id of `serve`, to be believed only while the lock is held.
    pub(crate) fn pid(&self) -> PathBuf {
        self.0.join("pid")
    }

    /// Makes the cluster this process's, for as long as the file is open; none when it is another's.
    pub(crate) fn lock(&self) -> io::Result<Option<File>> {
        let file = File::create(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Forgets what an earlier cluster left.
    pub(crate) fn clear(&self) {
        for file in [self.kubeconfig(), self.door(), self.pid()] {
            let _ = fs::remove_file(file);
        }
    }
}
