//! What else of a token response workloads need.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::oauth::secret::KeptText;

use super::{ResponseStyle, is_no_text};

/// The most bytes of a text that is kept for the target.
pub const MAX_KEPT: usize = 4096;

/// What of it can be kept.
#[derive(Default)]
pub(super) struct Kept {
    /// Texts by their key in the target.
    pub(super) fields: BTreeMap<String, KeptText>,
    /// Keys of what is there, but can't be kept.
    pub(super) left_out: Vec<String>,
}

/// Reads texts, numbers and truths; anything else, and what is too long, is left out.
pub(super) fn read(answer: &Value, style: &ResponseStyle) -> Kept {
    let mut kept = Kept::default();
    for (key, pointer) in &style.fields {
        let text = match answer.pointer(pointer) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::Bool(truth)) => Some(truth.to_string()),
            Some(Value::Array(_) | Value::Object(_)) => None,
        };
        match text.map(KeptText::new).filter(is_usable) {
            Some(text) => drop(kept.fields.insert(key.clone(), text)),
            None => kept.left_out.push(key.clone()),
        }
    }
    kept
}

fn is_usable(text: &KeptText) -> bool {
    text.expose().len() <= MAX_KEPT && !text.expose().chars().any(is_no_text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_t_be_kept_is_told_and_what_is_missing_is_not() {
        let places = ["fits", "long", "list", "lines", "unread", "none", "missing"];
        let fields = places.map(|key| (key.to_owned(), format!("/{key}"))).into();
        let style = ResponseStyle { fields, ..ResponseStyle::default() };
        let answer = json!({
            "fits": "x".repeat(MAX_KEPT), "long": "x".repeat(MAX_KEPT + 1), "list": ["a"],
            "lines": "a\nb", "unread": "S\u{fffd}o", "none": null,
        });
        let kept = read(&answer, &style);
        assert_eq!(kept.fields.keys().collect::<Vec<_>>(), ["fits"]);
        assert_eq!(kept.left_out, ["lines", "list", "long", "unread"]);
    }
}
