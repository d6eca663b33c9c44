//! Dependencies point inward: what may use what, read from the sources.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test ends at the first surprise, and a table of cases is long"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The sources of a module: its file and all files below its folder.
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![src.join(format!("{module}.rs"))];
    let mut folders = vec![src.join(module)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.retain(|path| !path.to_string_lossy().ends_with("/tests.rs"));
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The code without its tests, which may use anything.
fn code(source: &str) -> &str {
    source.split("#[cfg(test)]").next().unwrap()
}

fn refuse(module: &str, words: &[&str]) {
    for (path, source) in sources(module) {
        for word in words {
            assert!(!code(&source).contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn api_uses_nothing_of_ours() {
    refuse("api", &["crate::oauth", "crate::lifecycle", "crate::controller", "crate::operator"]);
}

#[test]
fn oauth_knows_neither_kubernetes_nor_us() {
    refuse(
        "oauth",
        &["kube", "k8s_openapi", "crate::api", "crate::lifecycle", "crate::controller"],
    );
}

#[test]
fn lifecycle_is_pure() {
    refuse(
        "lifecycle",
        &[
            "async ",
            ".await",
            "Timestamp::now",
            "Instant",
            "SystemTime",
            "kube::Client",
            "kube::Api",
            "crate::controller",
            "tokio",
            "reqwest",
            "Uuid::new",
        ],
    );
}

#[test]
fn controller_does_not_reach_up() {
    refuse("controller", &["crate::operator", "crate::cli", "crate::leader", "crate::admin"]);
}

#[test]
fn secrets_are_exposed_only_where_they_must_be() {
    let allowed = [
        "oauth/",
        "lifecycle/render.rs",
        "lifecycle/record.rs",
        "controller/state/write.rs",
        "controller/exchange/write_back.rs",
        "controller/journal/format.rs",
    ];
    for module in ["api", "lifecycle", "controller"] {
        for (path, source) in sources(module) {
            let path = path.to_string_lossy().into_owned();
            let exposed = code(&source).contains(".expose()");
            assert!(
                !exposed || allowed.iter().any(|allowed| path.contains(allowed)),
                "{path} exposes a secret"
            );
        }
    }
}

#[test]
fn no_file_grows_past_what_one_can_hold_in_mind() {
    for module in ["api", "oauth", "lifecycle", "controller"] {
        for (path, source) in sources(module) {
            assert!(
                code(&source).lines().count() <= 400,
                "{} has more than 400 lines",
                path.display()
            );
        }
    }
}
