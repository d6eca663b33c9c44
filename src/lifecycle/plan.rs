//! What to do next: an ordered table of rules over what was observed. The first rule that fires wins.

mod rules;
mod view;

use jiff::Timestamp;

use super::failure::Failure;
use super::probe::Probed;
use super::problem::Problem;
use super::record::{Life, Record};
use super::resolve::Resolved;
use super::rotation::claim::{Claim, Standing};

use self::view::View;

/// What is known of a Secret from its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretFacts {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// The credential it was made for, by annotation.
    pub credential: Option<String>,
    /// Its record, by annotations. Boxed, as most Secrets have none and each in scope is in memory.
    pub record: Option<Box<Record>>,
    /// Digest of the labels and annotations it was written with.
    pub template: Option<String>,
    /// [`ownership::fingerprint`] of the fields we were the last to write.
    pub fields: u64,
    /// The source version whose refresh token the authorization server called dead.
    pub refused_source: Option<String>,
    /// When that was believed.
    pub refused_at: Option<Timestamp>,
    /// The claim that stands in a state.
    pub claim: Option<Box<Claim>>,
    /// Whether somebody else was the last to write the record of a state.
    pub edited: bool,
    /// The name of the newest refresh token in a state ([`super::record::lineage_of`]).
    pub holds: Option<String>,
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
    /// A version of the state that was read and is in order.
    pub known_state: Option<&'a str>,
    /// A version of the target that was written or read and holds what it shall.
    pub known_target: Option<&'a str>,
    /// What is known of the holder of the claim in the state; none when the claim means nothing.
    pub claim_standing: Option<Standing>,
    /// The generation of the newest record this process knows.
    pub newest_generation: Option<i64>,
    /// What is known of probes.
    pub probing: Probing<'a>,
    /// When the user asked for one more try.
    pub asked_at: Option<Timestamp>,
    /// When the user will have asked: a clock that is ahead of ours set that time.
    pub asks_at: Option<Timestamp>,
    /// Whether the user had the credential take over this very state from elsewhere.
    pub adopted: bool,
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
    /// Ask a protected resource whether it takes the token.
    Probe,
}

/// What is known of probes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probing<'a> {
    /// The last one.
    pub last: Option<&'a Probed>,
    /// One is under way.
    pub under_way: bool,
    /// Revision of the last token set that this process brought.
    pub brought: Option<i64>,
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
    /// The state is older than what this process knows, or gone.
    StateSetBack,
    /// Somebody else wrote into the state.
    StateEdited,
    /// Somebody else's claim stands in the state.
    Claimed,
    /// The token was sent, and nobody knows what came of it.
    Unresolved,
    /// A protected resource refused the token.
    Refused,
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
    let keeps_it = if spec.grant.spends() { world.state } else { world.target };
    let record = keeps_it.and_then(|secret| secret.record.as_deref());
    let view = View { world, spec, now, record };
    let mut plan =
        rules::RULES.iter().find_map(|rule| rule(&view)).unwrap_or_else(|| rules::idle(&view));
    // An event tells when the refresh token's end is near.
    let ending = record.and_then(|record| record.refresh_life).map(Life::is_near_from);
    let ending = ending.filter(|near| *near > now);
    let probe = view.probe_at().filter(|due| *due > now);
    let times = [plan.wake_at, expiry, world.asks_at, ending, probe];
    plan.wake_at = times.into_iter().flatten().min();
    plan
}

/// Whether the target holds a good token that was asked for as the spec says.
pub fn is_ready(world: &World<'_>, now: Timestamp) -> bool {
    let Some(target) =
        world.target.filter(|target| target.credential.as_deref() == Some(world.name))
    else {
        return false;
    };
    let Some(record) = target.record.as_deref().filter(|record| record.is_good(now)) else {
        return false;
    };
    world.rival.is_none()
        && view::is_intact(world, target, record)
        && world.spec.map_or(true, |spec| spec.request_digest == record.request)
}

fn target_expiry(world: &World<'_>) -> Option<Timestamp> {
    world.target?.record.as_deref()?.expires_at
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers of seconds")]
mod tests;
