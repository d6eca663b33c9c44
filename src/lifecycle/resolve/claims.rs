//! What a user may claim beside the claims that the operator makes. A schema that lets a claim be of any kind leaves no room
//! for rules, so that they are here.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::Reason;
use crate::lifecycle::problem::Problem;

/// Claims that the operator makes.
const MADE: [&str; 8] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope"];
/// The longest name, in bytes.
const LONGEST_NAME: usize = 128;
/// The most bytes of all of them as JSON.
const MOST: usize = 4096;
/// The most levels of lists and objects, one in the other.
const DEEPEST: usize = 8;

/// Looks for what can't be claimed.
///
/// # Errors
/// `SpecInvalid`, with the claim at fault.
pub(super) fn check(claims: &BTreeMap<String, Value>) -> Result<(), Problem> {
    for (name, value) in claims {
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(invalid("has a name that is empty or longer than 128 characters"));
        }
        if MADE.contains(&name.as_str()) {
            return Err(invalid(&format!(
                "must not set {name}: use issuer, subject, audience, lifetime and scopesInClaim"
            )));
        }
        if value.is_null() {
            return Err(invalid(&format!("has {name} without a value")));
        }
        if depth(value) > DEEPEST {
            return Err(invalid(&format!("has {name} with more than {DEEPEST} levels")));
        }
    }
    let size = serde_json::to_string(claims).map_or(usize::MAX, |text| text.len());
    if size > MOST {
        return Err(invalid(&format!("must have at most {MOST} bytes as JSON, all together")));
    }
    Ok(())
}

/// How many lists and objects stand one in the other.
fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(list) => list.iter().map(depth).max(),
        Value::Object(object) => object.values().map(depth).max(),
        _ => return 0,
    };
    inner.unwrap_or_default().saturating_add(1)
}

fn invalid(what: &str) -> Problem {
    Problem::new(Reason::SpecInvalid, format!("spec.grant.jwtBearer.claims {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(claims: Value) -> Option<String> {
        let claims: BTreeMap<String, Value> = serde_json::from_value(claims).unwrap();
        check(&claims).err().map(|problem| problem.message)
    }

    #[test]
    fn anything_that_json_can_say_can_be_claimed() {
        for claims in [
            json!({}),
            json!({"a": "b", "n": -7, "share": 0.5, "yes": true}),
            json!({"groups": ["a", "b"], "act": {"sub": "me", "more": [{"x": {}}]}}),
            json!({"deep": [[[[[[[[]]]]]]]]}),
        ] {
            assert_eq!(said(claims.clone()), None, "{claims}");
        }
    }

    #[test]
    fn what_the_operator_claims_itself_and_what_is_too_much_is_refused() {
        for (claims, words) in [
            (json!({"": "a"}), "empty"),
            (json!({"n".repeat(129): 1}), "longer than 128"),
            (json!({"sub": "me"}), "must not set sub"),
            (json!({"exp": 1}), "must not set exp"),
            (json!({"none": null}), "has none without a value"),
            (json!({"deep": [[[[[[[[[]]]]]]]]]}), "has deep with more than 8 levels"),
            (json!({"a": "x".repeat(4096)}), "at most 4096 bytes"),
        ] {
            let said = said(claims.clone()).unwrap_or_default();
            assert!(
                said.starts_with("spec.grant.jwtBearer.claims ") && said.contains(words),
                "{said}"
            );
        }
    }
}
