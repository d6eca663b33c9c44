//! What is changed: answers as vendors document them (`tests/presets`), and the folders beside this file.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// What stands in secrets and in texts of servers, and in no message of ours.
pub(crate) const CANARY: &str = "the-canary";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// The files of a target's own folder.
pub(crate) fn folder(target: &str) -> Vec<Vec<u8>> {
    let files = files(&format!("tests/fuzz/corpus/{target}"));
    files.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// URLs, one a line.
pub(crate) fn addresses() -> Vec<Vec<u8>> {
    let files = folder("addresses");
    let lines = files.iter().flat_map(|file| file.split(|byte| *byte == b'\n'));
    lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The styles of all presets by their names, and that of RFC 6749 first.
pub(crate) fn styles() -> Vec<(String, Value)> {
    let presets = files("examples/providers").into_iter();
    let yaml = presets.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let style = |path: PathBuf| -> (String, Value) {
        let text = std::fs::read_to_string(&path).unwrap();
        let preset: Value = serde_yaml_ng::from_str(&text).unwrap();
        (name(&path), preset["spec"]["response"].clone())
    };
    let own = yaml.map(style).filter(|(_, style)| style.is_object());
    [(String::new(), serde_json::json!({}))].into_iter().chain(own).collect()
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// What a vendor documents, with canaries for tokens and texts.
struct Documented {
    preset: String,
    status: u64,
    body: String,
}

fn documented() -> Vec<Documented> {
    let cases = files("tests/presets").into_iter().flat_map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        let case: Value = serde_yaml_ng::from_str(&text).unwrap();
        let answers = ["answer", "refusal"].map(|member| case[member].clone());
        let given = answers.into_iter().filter(Value::is_object);
        given.map(move |answer| (name(&path), answer)).collect::<Vec<_>>()
    });
    let documented = |(preset, answer): (String, Value)| Documented {
        preset,
        status: answer["status"].as_u64().unwrap(),
        body: with_canaries(answer["body"].as_str().unwrap()),
    };
    cases.map(documented).collect()
}

fn with_canaries(body: &str) -> String {
    let body = body
        .replace("access-1", "the-canary-access-1")
        .replace("refresh-2", "the-canary-refresh-2");
    body.replace("description\":\"", "description\":\"the-canary ")
}

/// Line by line: status, number of the style, `Retry-After`; then the body.
pub(crate) fn answers() -> Vec<Vec<u8>> {
    let styles = styles();
    let input = |Documented { preset, status, body }: Documented| {
        let style = styles.iter().position(|(name, _)| *name == preset).unwrap_or(0);
        format!("{status}\n{style}\n120\n{body}").into_bytes()
    };
    documented().into_iter().map(input).chain(folder("response")).collect()
}

/// A pointer, then the body.
pub(crate) fn pointed() -> Vec<Vec<u8>> {
    let input = |answer: Documented| format!("/refresh_token\n{}", answer.body).into_bytes();
    documented().into_iter().map(input).chain(folder("pointers")).collect()
}
