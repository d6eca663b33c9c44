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
    folders.retain(|folder| folder.exists());
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

/// What a module of `oauth` uses of the others there.
fn neighbours(module: &str, all: &[String]) -> Vec<String> {
    let is_one = |source: &str, own_file: bool, other: &str| {
        let has = |word: String| {
            source.contains(&format!("{word}::")) || source.contains(&format!("{word};"))
        };
        has(format!("crate::oauth::{other}")) || (own_file && has(format!("use super::{other}")))
    };
    let files = sources(&format!("oauth/{module}"));
    let uses = |other: &&String| {
        files.iter().enumerate().any(|(at, (_, source))| is_one(code(source), at == 0, other))
    };
    all.iter().filter(|other| *other != module).filter(uses).cloned().collect()
}

#[test]
fn modules_of_oauth_use_each_other_in_no_circle() {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/oauth")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let mut left: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(left.len() > 10);
    // Those that use none of the others that are left go, until none is left.
    loop {
        let (used, free): (Vec<_>, Vec<_>) =
            left.iter().cloned().partition(|module| !neighbours(module, &left).is_empty());
        if used.is_empty() {
            return;
        }
        assert!(!free.is_empty(), "a circle among {used:?}");
        left = used;
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
