//! The world as the rules look at it.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Reason;
use crate::lifecycle::failure::{Failure, unresolved};
use crate::lifecycle::ownership;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::Record;
use crate::lifecycle::render;
use crate::lifecycle::resolve::Resolved;
use crate::lifecycle::rotation::admission::is_outdated;
use crate::lifecycle::rotation::claim::Claim;
use crate::lifecycle::rotation::hold::{Terms, Unresolved};
use crate::lifecycle::schedule::{self, minus, plus, renew_at};

use super::{Action, Plan, SecretFacts, Verdict, Why, World, is_ready};

/// So far clocks may differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// The world with a spec that can be acted on, and what follows from it.
pub(super) struct View<'a> {
    /// All that was observed.
    pub(super) world: &'a World<'a>,
    /// The spec.
    pub(super) spec: &'a Resolved<'a>,
    /// The time.
    pub(super) now: Timestamp,
    /// The record of the newest token set.
    pub(super) record: Option<&'a Record>,
}

impl View<'_> {
    /// Whether the source was written since the last token set, and nobody has looked what it says.
    pub(super) fn source_is_new(&self) -> bool {
        let Some(source) = self.world.source else { return false };
        let version = source.version.as_str();
        let claim = self.world.state.and_then(|state| state.claim.as_deref());
        let mut read = [
            self.record.map(|record| record.source_version.as_str()),
            claim.map(|claim| claim.source_version.as_str()),
            self.world.known_source,
        ]
        .into_iter()
        .flatten()
        .peekable();
        read.peek().is_some() && read.all(|read| read != version)
    }

    pub(super) fn asked_after(&self, time: Timestamp) -> bool {
        self.world.asked_at.is_some_and(|asked_at| asked_at > time)
    }

    pub(super) fn terms(&self) -> Terms {
        let earliest = self.spec.renewal.earliest;
        Terms::of(self.spec.reuse_grace, earliest, self.record, self.world.asked_at)
    }

    fn unresolved(&self, claim: &Claim, tries: Unresolved, next: Option<Timestamp>) -> Failure {
        let source = self.world.source.map(|source| source.version.as_str());
        unresolved(tries, claim.why.as_deref(), next, self.world.generation, source)
    }

    /// Waits to send a token again whose last outcome nobody knows.
    pub(super) fn held(&self, claim: &Claim, tries: Unresolved, until: Timestamp) -> Plan {
        let failure = self.unresolved(claim, tries, Some(until));
        Plan { next_renewal: Some(until), ..Plan::wait(Verdict::Failing(failure), Some(until)) }
    }

    /// A failure that must still be waited out.
    pub(super) fn waiting(&self) -> Option<&Failure> {
        let version = self.world.source.map(|source| source.version.as_str());
        let failure = self.world.failure?;
        // The user may ask for a try at once.
        let asked = self.asked_after(failure.last_attempt)
            || (failure.reason == Reason::StateNotAdopted && self.world.adopted)
            // A newer one was restored.
            || (failure.reason == Reason::StateOutdated && !self.state_is_outdated())
            // It was lost, and put back.
            || (failure.reason == Reason::ReauthorizationRequired && self.state_was_made_after(failure));
        let over = asked || failure.next_attempt.is_some_and(|next| next <= self.now);
        let provider = self.spec.provider_version.as_deref();
        (failure.is_about(self.world.generation, version, provider) && !over).then_some(failure)
    }

    /// Whether the state has a record and is younger than a failure: somebody put it back. What refused its refresh token
    /// would stand in it, as far as the copy knows.
    fn state_was_made_after(&self, failure: &Failure) -> bool {
        let state = self.world.state.filter(|state| state.record.is_some());
        let created = state.and_then(|state| state.created);
        created.is_some_and(|created| created >= failure.last_attempt)
    }

    /// Whether the state is older than the target.
    pub(super) fn state_is_outdated(&self) -> bool {
        let target = self.world.target.and_then(|target| target.record.as_deref());
        let stored = self.record.filter(|_| self.spec.grant.spends());
        stored.zip(target).is_some_and(|(stored, target)| {
            is_outdated(stored.revision, target, self.world.asked_at)
        })
    }

    /// What to say while nothing is decided: the last failure while it lasts, else how the target is.
    pub(super) fn standing(&self) -> Verdict {
        let claim = self.world.state.and_then(|state| state.claim.as_deref());
        if let Some((claim, tries)) = claim.and_then(|claim| Some((claim, claim.unresolved?))) {
            return Verdict::Failing(self.unresolved(claim, tries, None));
        }
        let version = self.world.source.map(|source| source.version.as_str());
        let provider = self.spec.provider_version.as_deref();
        let is_ours =
            |failure: &&Failure| failure.is_about(self.world.generation, version, provider);
        match self.world.failure.filter(is_ours) {
            Some(failure) => Verdict::Failing(failure.clone()),
            None if is_ready(self.world, self.now) => Verdict::Fresh,
            None => Verdict::Pending,
        }
    }

    pub(super) fn reauthorize(message: &str) -> Plan {
        Plan::wait(
            Verdict::Blocked(Problem::new(Reason::ReauthorizationRequired, message.to_owned())),
            None,
        )
    }

    /// When the next renewal is due, not sooner than `minInterval` allows.
    pub(super) fn renew_at(&self) -> Option<Timestamp> {
        let record = self.record?;
        let due =
            renew_at(record.issued_at, record.expires_at?, &self.spec.renewal, self.world.uid);
        // Nobody knows how old a token is that was issued in the future: the clock was set back.
        let due = if minus(record.issued_at, CLOCK_TOLERANCE) > self.now { self.now } else { due };
        self.earliest().max(Some(due))
    }

    /// An exchange now, or as soon as `minInterval` allows.
    pub(super) fn exchange(&self, why: Why) -> Plan {
        let earliest = self.earliest().max(self.earliest_renewal(why));
        let earliest = earliest.filter(|earliest| *earliest > self.now);
        let action = if earliest.is_none() { Action::Exchange(why) } else { Action::Wait };
        Plan { action, next_renewal: earliest, ..Plan::wait(self.standing(), earliest) }
    }

    /// Before this the server refuses to renew the token that is there. A new refresh token is another matter.
    fn earliest_renewal(&self, why: Why) -> Option<Timestamp> {
        let ahead = self.spec.renewal.earliest.filter(|_| self.spec.grant.spends())?;
        let record =
            self.record.filter(|record| why != Why::SourceChanged && record.is_good(self.now))?;
        Some(schedule::earliest_renewal(record.expires_at?, ahead))
    }

    /// A look at once, or as soon as the last one allows; what it leads to is decided by what it finds.
    pub(super) fn look(&self, why: Why) -> Plan {
        let earliest = self.world.not_before.filter(|earliest| *earliest > self.now);
        let action = if earliest.is_none() { Action::Exchange(why) } else { Action::Wait };
        Plan { action, next_renewal: earliest, ..Plan::wait(self.standing(), earliest) }
    }

    /// Before this no token request may be made.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        // A time to come is that of a clock that was set back since.
        let tolerated = plus(self.now, CLOCK_TOLERANCE);
        let last = [self.record.map(|record| record.issued_at), self.world.last_attempt]
            .into_iter()
            .flatten()
            .filter(|last| *last <= tolerated)
            .max();
        let spaced = last.map(|last| plus(last, self.spec.renewal.min_interval));
        [spaced, self.world.not_before].into_iter().flatten().max()
    }

    /// When a protected resource is to be asked about the token in the target: one that is good and known to be the newest.
    pub(super) fn probe_at(&self) -> Option<Timestamp> {
        let probing = self.world.probing;
        let record = self.record.filter(|record| record.is_good(self.now))?;
        let probe = self.spec.probe.as_ref().filter(|_| !probing.under_way)?;
        if self.world.in_flight || !self.target_is_in_order(record) {
            return None;
        }
        probe.due(record, probing.last, probing.brought, self.world.uid)
    }

    pub(super) fn target_is_in_order(&self, record: &Record) -> bool {
        self.world.target.is_some_and(|target| {
            target.record.as_deref() == Some(record)
                && target.template.as_deref() == Some(&render::template_digest(self.spec.target))
                && is_intact(self.world, target, record)
        })
    }
}

/// Whether nobody else wrote what is ours in the target.
pub(super) fn is_intact(world: &World<'_>, target: &SecretFacts, record: &Record) -> bool {
    let untouched = |spec: &Resolved<'_>| {
        target.fields
            == ownership::fingerprint(&render::target_fields(world.name, spec.target, record))
    };
    world.known_target == Some(&target.version) || world.spec.map_or(true, untouched)
}
