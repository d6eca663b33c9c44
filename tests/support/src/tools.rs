//! The programs the tests need beside the product: built or fetched once, then cached.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root folder of the repository.
pub fn repository_root() -> PathBuf {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the repository root")
        .to_path_buf()
}

/// The path of a tool, as `tests/tools/install NAME` prints it; builds it when it is missing.
///
/// Its progress goes to standard error, so that a first run that takes minutes does not look hung.
pub fn path(name: &str) -> PathBuf {
    let installer = repository_root().join("tests/tools/install");
    let output = Command::new(&installer)
        .arg(name)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", installer.display()));
    assert!(output.status.success(), "{} {name}: {}", installer.display(), output.status);
    let text = String::from_utf8(output.stdout).expect("the installer prints a path in UTF-8");
    let line =
        text.lines().last().unwrap_or_else(|| panic!("the installer printed no path for {name}"));
    PathBuf::from(line)
}

/// The same without keeping other tasks of the runtime waiting while a tool is built.
pub async fn installed(name: impl Into<String>) -> PathBuf {
    let name = name.into();
    let installing = tokio::task::spawn_blocking(move || path(&name));
    installing.await.expect("the tool can be installed")
}
