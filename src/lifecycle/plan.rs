//! What to do next: an ordered table of rules over what was observed. The first rule that fires wins.

use jiff::Timestamp;

use crate::api::Reason;

use super::failure::Failure;
use super::ownership;
use super::problem::Problem;
use super::record::Record;
use super::render;
use super::resolve::{GrantKind, Resolved};
use super::schedule::{plus, renew_at};

/// What is known of a Secret from its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretFacts {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// The credential it was made for, by annotation.
    pub credential: Option<String>,
    /// Its record, by annotations.
    pub record: Option<Record>,
    /// Digest of the labels and annotations it was written with.
    pub template: Option<String>,
    /// [`ownership::fingerprint`] of the fields we were the last to write.
    pub fields: u64,
    /// The source version whose refresh token the authorization server called dead.
    pub refused_source: Option<String>,
}

/// All that a plan depends on, besides the time.
#[derive(Clone, Debug)]
pub struct World<'a> {
    /// Name of the credential.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// Its generation.
    pub generation: i64,
    /// `spec.suspend`.
    pub suspended: bool,
    /// The spec, or what is wrong with it.
    pub spec: Result<&'a Resolved<'a>, &'a Problem>,
    /// The source, if it exists.
    pub source: Option<&'a SecretFacts>,
    /// The state, if it exists.
    pub state: Option<&'a SecretFacts>,
    /// The target, if it exists.
    pub target: Option<&'a SecretFacts>,
    /// The credential that may write this target, when it is another one.
    pub rival: Option<&'a str>,
    /// What failed last.
    pub failure: Option<&'a Failure>,
    /// Whether an exchange is under way.
    pub in_flight: bool,
    /// When the last token request was made.
    pub last_attempt: Option<Timestamp>,
    /// No exchange begins before this.
    pub not_before: Option<Timestamp>,
    /// A version of the source that was read and holds nothing new.
    pub known_source: Option<&'a str>,
    /// A version of the target that was written or read and holds what it shall.
    pub known_target: Option<&'a str>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Wait,
    /// Write the target from the state.
    Render,
    /// Ask for a token.
    Exchange(Why),
}

/// Why a token is asked for; a label of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Why {
    /// There is none.
    First,
    /// The request would be another one now.
    RequestChanged,
    /// The source was written since.
    SourceChanged,
    /// The target is gone or spoiled, and nothing else holds the token.
    TargetLost,
    /// It is time.
    Due,
}

/// What to say of the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Fresh,
    /// Not yet.
    Pending,
    /// The user asked for nothing.
    Suspended,
    /// An attempt failed.
    Failing(Failure),
    /// No attempt can be made.
    Blocked(Problem),
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// What to say.
    pub verdict: Verdict,
    /// When to look again, if nothing happens before.
    pub wake_at: Option<Timestamp>,
    /// When the next token request is due.
    pub next_renewal: Option<Timestamp>,
}

impl Plan {
    fn wait(verdict: Verdict, wake_at: Option<Timestamp>) -> Self {
        Self { action: Action::Wait, verdict, wake_at, next_renewal: None }
    }
}

/// The world with a spec that can be acted on, and what follows from it.
struct View<'a> {
    world: &'a World<'a>,
    spec: &'a Resolved<'a>,
    now: Timestamp,
    /// The record of the newest token set.
    record: Option<&'a Record>,
}

/// Decides.
pub fn plan(world: &World<'_>, now: Timestamp) -> Plan {
    let expiry = target_expiry(world).filter(|expiry| *expiry > now);
    if world.suspended {
        return Plan::wait(Verdict::Suspended, expiry);
    }
    let spec = match world.spec {
        Ok(spec) => spec,
        Err(problem) => return Plan::wait(Verdict::Blocked(problem.clone()), expiry),
    };
    let record = match spec.grant {
        GrantKind::RefreshToken => world.state.and_then(|state| state.record.as_ref()),
        GrantKind::ClientCredentials => world.target.and_then(|target| target.record.as_ref()),
    };
    let view = View { world, spec, now, record };
    let mut plan = RULES.iter().find_map(|rule| rule(&view)).unwrap_or_else(|| idle(&view));
    plan.wake_at = [plan.wake_at, expiry].into_iter().flatten().min();
    plan
}

/// Whether the target holds a good token that was asked for as the spec says.
pub fn is_ready(world: &World<'_>, now: Timestamp) -> bool {
    let Some(target) =
        world.target.filter(|target| target.credential.as_deref() == Some(world.name))
    else {
        return false;
    };
    let Some(record) = target.record.as_ref().filter(|record| record.is_good(now)) else {
        return false;
    };
    world.rival.is_none()
        && is_intact(world, target, record)
        && world.spec.map_or(true, |spec| spec.request_digest == record.request)
}

fn target_expiry(world: &World<'_>) -> Option<Timestamp> {
    world.target?.record.as_ref()?.expires_at
}

/// The rules. Those that send nothing come first; every rule after `source_missing` may send.
const RULES: [fn(&View<'_>) -> Option<Plan>; 13] = [
    target_is_foreign,
    target_has_an_older_credential,
    exchange_is_under_way,
    target_needs_rendering,
    source_is_missing,
    state_was_lost,
    refresh_token_is_dead,
    failure_is_waited_out,
    there_is_no_token,
    request_has_changed,
    source_has_changed,
    target_was_lost,
    token_is_due,
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

/// The state holds a token that the target does not.
fn target_needs_rendering(view: &View<'_>) -> Option<Plan> {
    let record = view
        .record
        .filter(|record| record.expires_at.is_none_or(|expires_at| view.now < expires_at))?;
    let waiting = view.waiting().is_some_and(|failure| RENDERING_FAILED.contains(&failure.reason));
    if view.spec.grant != GrantKind::RefreshToken || waiting || view.target_is_in_order(record) {
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
    let rotated = view.world.target?.record.as_ref().filter(|record| record.rotations > 0)?;
    let seed_is_the_spent_one =
        view.world.source.is_some_and(|source| source.version == rotated.source_version);
    if view.spec.grant != GrantKind::RefreshToken
        || view.world.state.is_some()
        || !seed_is_the_spent_one
    {
        return None;
    }
    Some(View::reauthorize(
        "the state Secret with the rotated refresh token is gone, and the one in the source was spent",
    ))
}

fn refresh_token_is_dead(view: &View<'_>) -> Option<Plan> {
    let refused = view.world.state?.refused_source.as_deref()?;
    if view.world.source.is_none_or(|source| source.version != refused) {
        return None;
    }
    Some(View::reauthorize("the authorization server called the refresh token invalid"))
}

fn failure_is_waited_out(view: &View<'_>) -> Option<Plan> {
    let failure = view.waiting()?;
    // A token of unknown life is a token: when it is lost, another one is asked for.
    let lost = !view.record.is_some_and(|record| view.target_is_in_order(record));
    if failure.reason == Reason::LifetimeUnknown && lost {
        return None;
    }
    let plan = Plan::wait(Verdict::Failing(failure.clone()), failure.next_attempt);
    Some(Plan { next_renewal: failure.next_attempt, ..plan })
}

fn there_is_no_token(view: &View<'_>) -> Option<Plan> {
    view.record.is_none().then(|| view.exchange(Why::First))
}

fn request_has_changed(view: &View<'_>) -> Option<Plan> {
    (view.record?.request != view.spec.request_digest).then(|| view.exchange(Why::RequestChanged))
}

fn source_has_changed(view: &View<'_>) -> Option<Plan> {
    let version = view.world.source?.version.as_str();
    let known = view.record?.source_version == version || view.world.known_source == Some(version);
    (!known).then(|| view.exchange(Why::SourceChanged))
}

fn target_was_lost(view: &View<'_>) -> Option<Plan> {
    let stateless = view.spec.grant == GrantKind::ClientCredentials;
    (stateless && !view.target_is_in_order(view.record?)).then(|| view.exchange(Why::TargetLost))
}

fn token_is_due(view: &View<'_>) -> Option<Plan> {
    (view.renew_at()? <= view.now).then(|| view.exchange(Why::Due))
}

/// Nothing to do until the renewal; a token of unknown life has none.
fn idle(view: &View<'_>) -> Plan {
    let renew_at = view.renew_at();
    let verdict = if renew_at.is_some() {
        view.standing()
    } else {
        Verdict::Blocked(Problem::new(
            Reason::LifetimeUnknown,
            "the token response had no usable expires_in".to_owned(),
        ))
    };
    Plan { next_renewal: renew_at, ..Plan::wait(verdict, renew_at) }
}

impl View<'_> {
    /// A failure that must still be waited out.
    fn waiting(&self) -> Option<&Failure> {
        let version = self.world.source.map(|source| source.version.as_str());
        let failure = self.world.failure?;
        let over = failure.next_attempt.is_some_and(|next| next <= self.now);
        (failure.is_about(self.world.generation, version) && !over).then_some(failure)
    }

    /// What to say while nothing is decided: the last failure while it lasts, else how the target is.
    fn standing(&self) -> Verdict {
        let version = self.world.source.map(|source| source.version.as_str());
        match self.world.failure.filter(|failure| failure.is_about(self.world.generation, version))
        {
            Some(failure) => Verdict::Failing(failure.clone()),
            None if is_ready(self.world, self.now) => Verdict::Fresh,
            None => Verdict::Pending,
        }
    }

    fn reauthorize(message: &str) -> Plan {
        Plan::wait(
            Verdict::Blocked(Problem::new(Reason::ReauthorizationRequired, message.to_owned())),
            None,
        )
    }

    /// When the next renewal is due, not sooner than `minInterval` allows.
    fn renew_at(&self) -> Option<Timestamp> {
        let record = self.record?;
        let due =
            renew_at(record.issued_at, record.expires_at?, &self.spec.renewal, self.world.uid);
        self.earliest().max(Some(due))
    }

    /// An exchange now, or as soon as `minInterval` allows.
    fn exchange(&self, why: Why) -> Plan {
        let earliest = self.earliest().filter(|earliest| *earliest > self.now);
        let action = if earliest.is_none() { Action::Exchange(why) } else { Action::Wait };
        Plan { action, next_renewal: earliest, ..Plan::wait(self.standing(), earliest) }
    }

    /// Before this no token request may be made.
    fn earliest(&self) -> Option<Timestamp> {
        let last = [self.record.map(|record| record.issued_at), self.world.last_attempt]
            .into_iter()
            .flatten()
            .max();
        let spaced = last.map(|last| plus(last, self.spec.renewal.min_interval));
        [spaced, self.world.not_before].into_iter().flatten().max()
    }

    fn target_is_in_order(&self, record: &Record) -> bool {
        self.world.target.is_some_and(|target| {
            target.record.as_ref() == Some(record)
                && target.template.as_deref() == Some(&render::template_digest(self.spec.target))
                && is_intact(self.world, target, record)
        })
    }
}

/// Whether nobody else wrote what is ours in the target.
fn is_intact(world: &World<'_>, target: &SecretFacts, record: &Record) -> bool {
    let untouched = |spec: &Resolved<'_>| {
        target.fields
            == ownership::fingerprint(&render::target_fields(world.name, spec.target, record))
    };
    world.known_target == Some(&target.version) || world.spec.map_or(true, untouched)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers of seconds")]
mod tests;
