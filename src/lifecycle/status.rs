//! What the status says, computed from what was observed and decided.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Map, Value};

use crate::api::Reason;
use crate::api::condition::{Class, READY, RECONCILING, STALLED, TOKEN_ACCEPTED};
use crate::api::credential::{OAuthCredentialStatus, RefreshTokenStatus, TargetStatus};

use super::plan::{Plan, Verdict, World, is_ready};

/// A reason with its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The reason.
    pub reason: Reason,
    /// The message.
    pub message: String,
}

/// What the verdict comes to.
pub fn finding(verdict: &Verdict) -> Finding {
    let said = |reason, message: &str| Finding { reason, message: message.to_owned() };
    match verdict {
        Verdict::Fresh => said(Reason::Fresh, "the target holds a good access token"),
        Verdict::Pending => said(Reason::Pending, "waiting for an access token"),
        Verdict::Suspended => said(Reason::Suspended, "spec.suspend is true: nothing is renewed"),
        Verdict::Failing(failure) => {
            Finding { reason: failure.reason, message: failure.message.clone() }
        }
        Verdict::Blocked(problem) => Finding { reason: problem.reason, message: problem.text() },
    }
}

/// The status after a pass. `previous` gives the times of transition.
pub fn status(
    world: &World<'_>,
    plan: &Plan,
    previous: &OAuthCredentialStatus,
    now: Timestamp,
) -> OAuthCredentialStatus {
    let finding = finding(&plan.verdict);
    let ready = is_ready(world, now);
    let stalled =
        matches!(finding.reason.class(), Class::Configuration | Class::Refused | Class::SignIn);
    let reconciling = !stalled && !matches!(plan.verdict, Verdict::Fresh | Verdict::Suspended);
    let mut conditions = vec![condition(READY, ready, &finding, world.generation)];
    if reconciling {
        conditions.push(condition(RECONCILING, true, &finding, world.generation));
    }
    if stalled {
        conditions.push(condition(STALLED, true, &finding, world.generation));
    }
    conditions.extend(accepted(world, previous));
    for condition in &mut conditions {
        condition.last_transition_time = transition(condition, &previous.conditions, now);
    }
    let ours = world.target.filter(|target| target.credential.as_deref() == Some(world.name));
    let held = ours.and_then(|target| target.record.as_deref());
    let state = world.state.and_then(|state| state.record.as_deref());
    OAuthCredentialStatus {
        observed_generation: Some(world.generation),
        conditions,
        issued_at: held.map(|record| Time(record.issued_at)),
        expires_at: held.and_then(|record| record.expires_at).map(Time),
        next_renewal_time: plan.next_renewal.map(Time),
        last_renewal_time: held
            .filter(|record| record.revision > 1)
            .map(|record| Time(record.issued_at)),
        scopes: held.map(|record| record.scopes.clone()).unwrap_or_default(),
        refresh_token: state.map(|record| {
            Box::new(RefreshTokenStatus {
                rotations: record.rotations,
                rotated_at: record.rotated_at.map(Time),
                expires_at: record.refresh_life.map(|life| Time(life.until)),
            })
        }),
        failure: match &plan.verdict {
            Verdict::Failing(failure) => Some(Box::new(failure.to_status())),
            _ => None,
        },
        target: held.zip(world.spec.ok()).map(|(record, spec)| TargetStatus {
            name: spec.target.name.clone(),
            revision: record.revision,
        }),
    }
}

/// What the last probe of the token in the target said; before the first one of this process, what stood there.
fn accepted(world: &World<'_>, previous: &OAuthCredentialStatus) -> Option<Condition> {
    let held = world.target?.record.as_deref()?;
    world.spec.ok()?.probe.as_ref()?;
    let Some(last) = world.probing.last else {
        let same_token =
            previous.target.as_ref().is_some_and(|target| target.revision == held.revision);
        let same_spec = previous.observed_generation == Some(world.generation);
        let said = previous.conditions.iter().find(|said| said.type_ == TOKEN_ACCEPTED);
        return said.filter(|_| same_token && same_spec).cloned();
    };
    if last.revision != held.revision {
        return None;
    }
    let (status, reason, message) = last.condition();
    let finding = Finding { reason, message };
    let condition = condition(TOKEN_ACCEPTED, true, &finding, world.generation);
    Some(Condition { status: status.to_owned(), ..condition })
}

fn condition(type_: &str, status: bool, finding: &Finding, generation: i64) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: if status { "True" } else { "False" }.to_owned(),
        reason: finding.reason.as_str().to_owned(),
        message: finding.message.clone(),
        observed_generation: Some(generation),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

/// Moves only when the condition's status flips.
fn transition(condition: &Condition, previous: &[Condition], now: Timestamp) -> Time {
    let before = previous
        .iter()
        .find(|before| before.type_ == condition.type_ && before.status == condition.status);
    before.map_or_else(
        || Time(super::schedule::to_second(now)),
        |before| before.last_transition_time.clone(),
    )
}

/// The JSON merge patch (RFC 7386) that makes `new` of `old`; `None` when they are the same.
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let removed =
        old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter_map(|(key, value)| {
        let patch = old.get(key).map_or_else(|| Some(value.clone()), |old| merge_patch(old, value));
        patch.map(|patch| (key.clone(), patch))
    });
    let patch: Map<String, Value> = removed.chain(changed).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_names_only_what_differs() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        assert_eq!(merge_patch(&old, &old), None);
        assert_eq!(
            merge_patch(&old, &json!({"b": {"c": 1, "d": 3}, "e": [1, 2]})),
            Some(json!({"a": null, "b": {"d": 3}, "e": [1, 2]}))
        );
    }
}
