//! The rules: each looks at the world, and says what is to be done if it applies.

use crate::api::Reason;
use crate::lifecycle::failure::Failure;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::rotation::admission::outdated;
use crate::lifecycle::rotation::claim::{self, judge};

use super::view::View;
use super::{Action, Plan, Verdict, Why};

/// The rules. Those that send nothing come first; every rule after `source_missing` may send.
pub(super) const RULES: [fn(&View<'_>) -> Option<Plan>; 19] = [
    target_is_foreign,
    target_has_an_older_credential,
    exchange_is_under_way,
    state_was_set_back,
    state_was_edited,
    target_needs_rendering,
    source_is_missing,
    state_was_lost,
    state_is_outdated,
    refresh_token_is_dead,
    claim_is_open,
    failure_is_waited_out,
    there_is_no_token,
    request_has_changed,
    source_has_changed,
    target_was_lost,
    token_is_due,
    token_was_refused,
    token_is_to_be_probed,
];

fn target_is_foreign(view: &View<'_>) -> Option<Plan> {
    let target = view.world.target?;
    let message = match target.credential.as_deref() {
        Some(owner) if owner == view.world.name => return None,
        Some(owner) => format!(
            "the Secret {} (spec.target.name) belongs to the OAuthCredential {owner}",
            view.spec.target.name
        ),
        None => format!(
            "the Secret {} (spec.target.name) exists and was not made by oauth-keeper",
            view.spec.target.name
        ),
    };
    Some(Plan::wait(Verdict::Blocked(Problem::new(Reason::TargetConflict, message)), None))
}

fn target_has_an_older_credential(view: &View<'_>) -> Option<Plan> {
    let rival = view.world.rival?;
    let message = format!(
        "the OAuthCredential {rival} has the same spec.target.name {} and had it first",
        view.spec.target.name
    );
    Some(Plan::wait(Verdict::Blocked(Problem::new(Reason::TargetConflict, message)), None))
}

fn exchange_is_under_way(view: &View<'_>) -> Option<Plan> {
    let plan = Plan::wait(view.standing(), None);
    view.world.in_flight.then(|| Plan { next_renewal: view.renew_at(), ..plan })
}

/// What this process wrote is newer than what is there: somebody restored or deleted the state.
fn state_was_set_back(view: &View<'_>) -> Option<Plan> {
    let newest = view.world.newest_generation?;
    let state = view.world.state;
    let stored = state.and_then(|state| state.record.as_deref());
    let stored = stored.map_or(0, |record| record.revision);
    if !view.spec.grant.spends() || stored >= newest {
        return None;
    }
    // What was wrong with a state went with it.
    let waiting = view.waiting();
    let waiting =
        waiting.filter(|failure| state.is_some() || failure.reason != Reason::StateInvalid);
    Some(waiting.map_or_else(|| view.look(Why::StateSetBack), waited_out))
}

/// Somebody wrote into the record: it is read, to say at once what is wrong with it.
fn state_was_edited(view: &View<'_>) -> Option<Plan> {
    let state = view.world.state.filter(|state| state.edited)?;
    let known = view.world.known_state == Some(state.version.as_str());
    let spends = view.spec.grant.spends();
    (spends && !known && view.waiting().is_none()).then(|| view.look(Why::StateEdited))
}

/// The state holds a token that the target does not.
fn target_needs_rendering(view: &View<'_>) -> Option<Plan> {
    let record = view
        .record
        .filter(|record| record.expires_at.is_none_or(|expires_at| view.now < expires_at))?;
    let target = view.world.target.and_then(|target| target.record.as_deref());
    if target.is_some_and(|target| target.revision > record.revision) {
        return None;
    }
    let waiting = view.waiting().is_some_and(|failure| RENDERING_FAILED.contains(&failure.reason));
    if !view.spec.grant.spends() || waiting || view.target_is_in_order(record) {
        return None;
    }
    Some(Plan { action: Action::Render, ..Plan::wait(view.standing(), None) })
}

/// Failures after which rendering is not tried at once.
const RENDERING_FAILED: [Reason; 3] =
    [Reason::TargetNotWritable, Reason::StateInvalid, Reason::StateNotWritable];

fn source_is_missing(view: &View<'_>) -> Option<Plan> {
    if view.world.source.is_some() {
        return None;
    }
    let message = format!(
        "the Secret {} (spec.source.name) does not exist in this namespace",
        view.spec.source.name
    );
    Some(Plan::wait(Verdict::Blocked(Problem::new(Reason::SourceNotFound, message)), None))
}

/// Without its state a rotated lineage has no live token left: the seed was spent.
fn state_was_lost(view: &View<'_>) -> Option<Plan> {
    let rotated = view.world.target?.record.as_deref().filter(|record| record.rotations > 0)?;
    let seed_is_the_spent_one =
        view.world.source.is_some_and(|source| source.version == rotated.source_version);
    if !view.spec.grant.spends()
        || view.world.state.is_some()
        || !seed_is_the_spent_one
        || view.asked_after(rotated.issued_at)
    {
        return None;
    }
    Some(View::reauthorize(
        "the state Secret with the rotated refresh token is gone, and the one in the source was spent",
    ))
}

/// It was restored from a backup.
fn state_is_outdated(view: &View<'_>) -> Option<Plan> {
    // A new source may hold a new seed.
    (view.state_is_outdated() && !view.source_is_new())
        .then(|| Plan::wait(Verdict::Blocked(outdated()), None))
}

fn refresh_token_is_dead(view: &View<'_>) -> Option<Plan> {
    let state = view.world.state?;
    let refused = state.refused_source.as_deref()?;
    if view.world.source.is_none_or(|source| source.version != refused)
        || view.asked_after(state.refused_at?)
    {
        return None;
    }
    Some(View::reauthorize("the authorization server called the refresh token invalid"))
}

/// A claim stands in the state, and no exchange of this process is at it.
fn claim_is_open(view: &View<'_>) -> Option<Plan> {
    let claim = view.world.state?.claim.as_deref()?;
    let standing = view.world.claim_standing?;
    // A new seed need not wait for what becomes of the old token.
    if !view.spec.grant.spends() || view.source_is_new() {
        return None;
    }
    Some(match judge(claim, standing, &view.terms(), view.now) {
        claim::Verdict::Respect { .. } => view.look(Why::Claimed),
        claim::Verdict::Hold { until, unresolved } => view.held(claim, unresolved, until),
        claim::Verdict::Try { .. } => {
            failure_is_waited_out(view).unwrap_or_else(|| view.look(Why::Unresolved))
        }
        claim::Verdict::GiveUp { unresolved } => View::reauthorize(&format!(
            "the refresh token was sent {} times since {} without an answer that says what became of it",
            unresolved.tries, unresolved.first_at
        )),
    })
}

fn failure_is_waited_out(view: &View<'_>) -> Option<Plan> {
    let failure = view.waiting()?;
    // A token of unknown life is a token: when it is lost, another one is asked for.
    let lost = !view.record.is_some_and(|record| view.target_is_in_order(record));
    if failure.reason == Reason::LifetimeUnknown && lost {
        return None;
    }
    Some(waited_out(failure))
}

fn waited_out(failure: &Failure) -> Plan {
    let plan = Plan::wait(Verdict::Failing(failure.clone()), failure.next_attempt);
    Plan { next_renewal: failure.next_attempt, ..plan }
}

fn there_is_no_token(view: &View<'_>) -> Option<Plan> {
    view.record.is_none().then(|| view.exchange(Why::First))
}

fn request_has_changed(view: &View<'_>) -> Option<Plan> {
    (view.record?.request != view.spec.request_digest).then(|| view.exchange(Why::RequestChanged))
}

fn source_has_changed(view: &View<'_>) -> Option<Plan> {
    view.source_is_new().then(|| view.exchange(Why::SourceChanged))
}

fn target_was_lost(view: &View<'_>) -> Option<Plan> {
    let stateless = !view.spec.grant.spends();
    (stateless && !view.target_is_in_order(view.record?)).then(|| view.exchange(Why::TargetLost))
}

fn token_is_due(view: &View<'_>) -> Option<Plan> {
    (view.renew_at()? <= view.now).then(|| view.exchange(Why::Due))
}

/// A protected resource refused the token, and takes another one perhaps.
fn token_was_refused(view: &View<'_>) -> Option<Plan> {
    let (record, last) = (view.record?, view.world.probing.last?);
    view.spec.probe.as_ref()?;
    last.asks_for_another(record.revision).then(|| view.exchange(Why::Refused))
}

fn token_is_to_be_probed(view: &View<'_>) -> Option<Plan> {
    let due = view.probe_at()?;
    (due <= view.now).then(|| Plan { action: Action::Probe, ..idle(view) })
}

/// Nothing to do until the renewal; a token of unknown life has none.
pub(super) fn idle(view: &View<'_>) -> Plan {
    let renew_at = view.renew_at();
    let verdict = if renew_at.is_some() {
        view.standing()
    } else {
        Verdict::Blocked(Problem::new(
            Reason::LifetimeUnknown,
            "the token response did not say how long the token lives".to_owned(),
        ))
    };
    Plan { next_renewal: renew_at, ..Plan::wait(verdict, renew_at) }
}
