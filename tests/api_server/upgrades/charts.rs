//! The chart in three versions, packed as users download it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oauth_keeper_test_support::chart;
use oauth_keeper_test_support::helm::Helm;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Before every version there is.
const OLDER_VERSION: &str = "0.0.2";
const OLDEST_VERSION: &str = "0.0.1";

/// The archives.
pub struct Charts {
    /// One that has no `crds.upgrade`.
    pub oldest: String,
    pub older: String,
    pub newer: String,
    _folder: TempDir,
}

impl Charts {
    pub async fn pack(helm: Helm) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let older = make_older(folder.path());
        let oldest = make_oldest(&older, folder.path());
        Self {
            oldest: pack(helm, &oldest, folder.path()).await,
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

/// Whose CRDs stay where `crds.enabled` is false, and no other way.
fn make_oldest(older: &Path, folder: &Path) -> PathBuf {
    let oldest = copy(older, folder, "oldest");
    edit(&oldest.join("Chart.yaml"), |chart| {
        chart["version"] = OLDEST_VERSION.into();
    });
    edit(&oldest.join("values.yaml"), |values| {
        let crds = values["crds"].as_object_mut().expect("they are values");
        crds.remove("upgrade").expect("it is one of them");
    });
    edit(&oldest.join("values.schema.json"), |schema| {
        let crds = &mut schema["properties"]["crds"];
        drop_field(crds, "upgrade");
        crds["required"] = json!(["enabled", "keep"]);
    });
    let brings = "(include \"oauth-keeper.bringsCrds\" .)";
    replace(
        &oldest,
        "_scope.tpl",
        "and .Values.crds.enabled .Values.crds.upgrade",
        "and true .Values.crds.enabled",
    );
    replace(&oldest, "_validate.tpl", "(not .crds.upgrade)", "false");
    replace(&oldest, "_validate-crds.tpl", &format!("(not {brings})"), "false");
    oldest
}

fn replace(chart: &Path, template: &str, from: &str, to: &str) {
    let template = chart.join("templates").join(template);
    let text = fs::read_to_string(&template).expect("the template is there");
    assert_eq!(text.matches(from).count(), 1, "{from}");
    fs::write(&template, text.replace(from, to)).expect("it can be written");
}

fn copy(chart: &Path, folder: &Path, name: &str) -> PathBuf {
    let copy = folder.join(name);
    let copied = Command::new("cp").arg("-r").arg(chart).arg(&copy).status();
    assert!(copied.expect("cp can be started").success());
    copy
}

/// The chart as an earlier release of it might have been: two fields fewer, and one kind.
fn make_older(folder: &Path) -> PathBuf {
    let older = copy(&chart::folder(), folder, "older");
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
