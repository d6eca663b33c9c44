//! How deep an answer is nested, told before it is parsed.

/// More than any token response needs.
const MAX_DEPTH: usize = 16;

/// Whether objects and lists are nested deeper than may be. Text that is no JSON may be judged either way.
pub(super) fn is_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                depth = depth.saturating_add(1);
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_texts() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(nested(16).as_bytes()));
        assert!(is_too_deep(nested(17).as_bytes()));
        assert!(is_too_deep("{\"a\":".repeat(17).as_bytes()));
        assert!(!is_too_deep("[]".repeat(99).as_bytes()));
        assert!(!is_too_deep(format!(r#"{{"a":"\"{}\\"}}"#, "[".repeat(99)).as_bytes()));
    }
}
