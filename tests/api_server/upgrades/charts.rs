//! The chart in two versions, packed as users download it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oauth_keeper_test_support::chart;
use oauth_keeper_test_support::helm::Helm;
use serde_json::Value;
use tempfile::TempDir;

/// Before every version there is.
const OLDER_VERSION: &str = "0.0.1";

/// Both archives.
pub struct Charts {
    pub older: String,
    pub newer: String,
    _folder: TempDir,
}

impl Charts {
    pub async fn pack(helm: Helm) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let older = make_older(folder.path());
        Self {
            older: pack(helm, &older, folder.path()).await,
            newer: pack(helm, &chart::folder(), folder.path()).await,
            _folder: folder,
        }
    }
}

async fn pack(helm: Helm, chart: &Path, into: &Path) -> String {
    let text = |path: &Path| path.to_str().expect("the path is text").to_owned();
    let arguments = ["package", &text(chart), "--destination", &text(into)];
    let said = helm.run(Path::new("/dev/null"), &arguments).await.expect("it can be packed");
    let (_, path) = said.trim().rsplit_once(": ").expect("it says where the archive is");
    path.to_owned()
}

/// The chart as an earlier release of it might have been: two fields fewer, and one kind.
fn make_older(folder: &Path) -> PathBuf {
    let older = folder.join("older");
    let copied = Command::new("cp").arg("-r").arg(chart::folder()).arg(&older).status();
    assert!(copied.expect("cp can be started").success());
    edit(&older.join("Chart.yaml"), |chart| {
        chart["version"] = OLDER_VERSION.into();
    });
    let crds = older.join("files/crds");
    fs::remove_file(crds.join("clusteroauthproviders.yaml")).expect("there is that kind");
    edit(&crds.join("oauthcredentials.yaml"), |crd| {
        let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        drop_field(&mut schema["spec"]["properties"]["target"], "labels");
        drop_field(&mut schema["status"], "lastRenewalTime");
    });
    older
}

fn drop_field(schema: &mut Value, field: &str) {
    let fields = schema["properties"].as_object_mut().expect("it has fields");
    fields.remove(field).expect("it is one of them");
}

/// JSON is YAML.
fn edit(file: &Path, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(file).expect("the file is there");
    let mut document: Value = serde_yaml_ng::from_str(&text).expect("it is YAML");
    change(&mut document);
    fs::write(file, document.to_string()).expect("it can be written");
}
