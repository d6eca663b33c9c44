//! The files that the program writes are those in the repository. Mend with `make generate`.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test ends at the first surprise, and a table of cases is long"
)]

use std::path::Path;

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_crds_are_those_of_the_types() {
    let files = oauth_keeper::docs::crd_files().unwrap();
    for (name, text) in &files {
        assert_eq!(&file(&format!("crds/{name}")), text, "{name}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), files.len());
}

#[test]
fn the_table_of_conditions_is_that_of_the_reasons() {
    assert_eq!(file("docs/conditions.md"), oauth_keeper::docs::conditions());
}

#[test]
fn the_reasons_in_the_readme_are_all_there_are() {
    use strum::IntoEnumIterator;
    let readme = file("README.md");
    for reason in oauth_keeper::api::Reason::iter() {
        assert!(readme.contains(&format!("`{reason}`")), "README.md does not name {reason}");
    }
}
