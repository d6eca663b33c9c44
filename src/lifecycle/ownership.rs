//! Whose a Secret is, and whether somebody else changed it. Answered from metadata alone, so that no Secret is read for it.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use crate::api::FIELD_MANAGER;

/// Names of the fields of a Secret that a manager wrote: `data/KEY`, `label/KEY`, `annotation/KEY`.
pub type Fields = BTreeSet<String>;

/// The fields that this operator was the last to write, by the API server's own bookkeeping. A field that somebody
/// else changed or removed is not among them.
pub fn written_by_us(managed: &[ManagedFieldsEntry]) -> Fields {
    let ours = |entry: &&ManagedFieldsEntry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.subresource.is_none()
    };
    let mut fields = Fields::new();
    for entry in managed.iter().filter(ours) {
        let Some(tree) = entry.fields_v1.as_ref().map(|fields| &fields.0) else {
            continue;
        };
        collect(tree.get("f:data"), "data/", &mut fields);
        let metadata = tree.get("f:metadata");
        collect(metadata.and_then(|tree| tree.get("f:labels")), "label/", &mut fields);
        collect(metadata.and_then(|tree| tree.get("f:annotations")), "annotation/", &mut fields);
    }
    fields
}

fn collect(tree: Option<&Value>, prefix: &str, fields: &mut Fields) {
    let keys = tree
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.strip_prefix("f:"));
    fields.extend(keys.map(|key| format!("{prefix}{key}")));
}

/// A number for a set of fields, to keep instead of it. Comparable within one process.
pub fn fingerprint(fields: &Fields) -> u64 {
    let mut hasher = DefaultHasher::new();
    fields.hash(&mut hasher);
    hasher.finish()
}

/// Which of several credentials with one target may write it: the oldest, then the first by name.
pub fn winner<'a>(candidates: impl Iterator<Item = (Timestamp, &'a str)>) -> Option<&'a str> {
    candidates.min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::json;

    #[test]
    fn counts_only_our_own_fields() {
        let entry = |manager: &str, tree: Value| ManagedFieldsEntry {
            manager: Some(manager.into()),
            fields_v1: Some(FieldsV1(tree)),
            ..Default::default()
        };
        let fields = written_by_us(&[
            entry(
                FIELD_MANAGER,
                json!({"f:data": {".": {}, "f:a": {}}, "f:metadata": {"f:labels": {"f:l": {}}}, "f:type": {}}),
            ),
            entry("kubectl-edit", json!({"f:data": {"f:b": {}}})),
        ]);
        assert_eq!(fields, Fields::from(["data/a".to_owned(), "label/l".to_owned()]));
    }

    #[test]
    fn the_older_credential_wins_and_the_name_decides_among_equals() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(winner([(at(2), "a"), (at(1), "b")].into_iter()), Some("b"));
        assert_eq!(winner([(at(1), "b"), (at(1), "a")].into_iter()), Some("a"));
    }
}
