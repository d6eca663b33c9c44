//! Temporary folders that say whose they are.

use tempfile::TempDir;

/// A new temporary folder, removed when dropped.
pub(crate) fn folder(purpose: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("oauth-keeper-{purpose}-"))
        .tempdir()
        .expect("a temporary folder can be made")
}
