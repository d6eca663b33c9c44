use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::OAuthCredentialSpec;
use crate::api::Reason;
use crate::lifecycle::failure::Attempt;
use crate::lifecycle::provider::Provider;
use crate::lifecycle::resolve;
use crate::lifecycle::rotation::claim::Holder;
use crate::lifecycle::rotation::hold::Unresolved;
use crate::lifecycle::{ownership, render};
use crate::oauth::address::AddressPolicy;

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn spec_of(grant: &str) -> OAuthCredentialSpec {
    let settings = match grant {
        "tokenExchange" => json!({"subjectToken": {"secretKey": {}}}),
        "cookieSession" => json!({"url": "https://as.example/me"}),
        _ => json!({}),
    };
    serde_json::from_value(json!({
        "provider": {"tokenEndpoint": "https://as.example/t"},
        "grant": {grant: settings},
        "source": {"name": "s"},
        "target": {"name": "t"},
        "renewal": {"jitter": "0s"},
    }))
    .unwrap()
}

/// A world in order, ten minutes into an hour; each test spoils what it is about.
#[derive(Debug)]
struct Scene {
    spec: OAuthCredentialSpec,
    source: Option<SecretFacts>,
    state: Option<SecretFacts>,
    target: Option<SecretFacts>,
    failure: Option<Failure>,
    rival: Option<&'static str>,
    suspended: bool,
    in_flight: bool,
    last_attempt: Option<Timestamp>,
    known_source: Option<&'static str>,
    known_state: Option<&'static str>,
    claim_standing: Option<Standing>,
    newest_generation: Option<i64>,
    asked_at: Option<Timestamp>,
    probed: Option<Probed>,
}

fn resolved(spec: &OAuthCredentialSpec) -> Result<Resolved<'_>, Problem> {
    resolve::spec(spec, &Provider::inline(&spec.provider.inline), AddressPolicy::default())
}

fn record(spec: &OAuthCredentialSpec) -> Record {
    Record {
        revision: 1,
        issued_at: at(NOW - 600),
        expires_at: Some(at(NOW + 3000)),
        request: resolved(spec).unwrap().request_digest,
        source_version: "7".into(),
        scopes: vec![],
        lineage: None,
        rotations: 0,
        rotated_at: None,
        refresh_life: None,
        fields: Vec::new(),
    }
}

fn secret(spec: &OAuthCredentialSpec, record: Option<Record>) -> SecretFacts {
    let fields = record.as_ref().map_or(0, |record| {
        ownership::fingerprint(&render::target_fields("c", &spec.target, record))
    });
    SecretFacts {
        uid: "u".into(),
        version: "9".into(),
        created: None,
        credential: record.is_some().then(|| "c".to_owned()),
        template: Some(render::template_digest(&spec.target)),
        record: record.map(Box::new),
        fields,
        refused_source: None,
        refused_at: None,
        claim: None,
        holds: None,
        edited: false,
    }
}

impl Scene {
    fn of(grant: &str) -> Self {
        let spec = spec_of(grant);
        let record = record(&spec);
        Self {
            source: Some(SecretFacts { version: "7".into(), ..SecretFacts::default() }),
            state: SPENDING.contains(&grant).then(|| secret(&spec, Some(record.clone()))),
            target: Some(secret(&spec, Some(record))),
            spec,
            failure: None,
            rival: None,
            suspended: false,
            in_flight: false,
            last_attempt: None,
            known_source: None,
            known_state: None,
            claim_standing: None,
            newest_generation: None,
            asked_at: None,
            probed: None,
        }
    }

    fn resolved(&self) -> Result<Resolved<'_>, Problem> {
        resolved(&self.spec)
    }

    fn world<'a>(&'a self, resolved: &'a Result<Resolved<'a>, Problem>) -> World<'a> {
        World {
            name: "c",
            uid: "uid",
            generation: 1,
            suspended: self.suspended,
            spec: resolved.as_ref(),
            source: self.source.as_ref(),
            state: self.state.as_ref(),
            target: self.target.as_ref(),
            rival: self.rival,
            failure: self.failure.as_ref(),
            in_flight: self.in_flight,
            last_attempt: self.last_attempt,
            not_before: None,
            known_source: self.known_source,
            known_target: None,
            known_state: self.known_state,
            claim_standing: self.claim_standing,
            newest_generation: self.newest_generation,
            probing: Probing { last: self.probed.as_ref(), ..Probing::default() },
            asked_at: self.asked_at,
            asks_at: None,
            adopted: false,
        }
    }

    fn plan_at(&self, now: i64) -> Plan {
        let resolved = self.resolved();
        plan(&self.world(&resolved), at(now))
    }

    fn plan(&self) -> Plan {
        self.plan_at(NOW)
    }

    fn failing(mut self, reason: Reason, retry_after: u64) -> Self {
        let problem = Problem {
            retry_after: Some(Duration::from_secs(retry_after)),
            ..Problem::new(reason, "x".into())
        };
        let attempt = Attempt {
            uid: "uid",
            generation: 1,
            source_version: Some("7"),
            provider_version: None,
            at: at(NOW - 1),
        };
        self.failure = Some(Failure::after(None, &problem, &attempt));
        self
    }
}

fn reason(plan: &Plan) -> Reason {
    crate::lifecycle::status::finding(&plan.verdict).reason
}

const GRANTS: [&str; 5] =
    ["refreshToken", "clientCredentials", "password", "tokenExchange", "cookieSession"];
const SPENDING: [&str; 2] = ["refreshToken", "cookieSession"];

#[test]
fn does_nothing_until_the_renewal_when_all_is_in_order() {
    for grant in GRANTS {
        let plan = Scene::of(grant).plan();
        assert_eq!((plan.action, reason(&plan)), (Action::Wait, Reason::Fresh), "{grant}");
        assert_eq!(plan.wake_at, Some(at(NOW - 600 + 2400)));
        assert_eq!(plan.next_renewal, plan.wake_at);
    }
}

#[test]
fn renews_when_it_is_time() {
    for grant in GRANTS {
        let scene = Scene::of(grant);
        assert_eq!(scene.plan_at(NOW - 600 + 2399).action, Action::Wait);
        assert_eq!(scene.plan_at(NOW - 600 + 2400).action, Action::Exchange(Why::Due), "{grant}");
    }
}

#[test]
fn asks_for_the_first_token() {
    let scene = Scene { state: None, target: None, ..Scene::of("refreshToken") };
    assert_eq!(scene.plan().action, Action::Exchange(Why::First));
    let scene = Scene { target: None, ..Scene::of("clientCredentials") };
    assert_eq!(scene.plan().action, Action::Exchange(Why::First));
}

#[test]
fn renders_a_lost_target_from_the_state_without_a_request() {
    let scene = Scene { target: None, ..Scene::of("refreshToken") };
    assert_eq!(scene.plan().action, Action::Render);
}

#[test]
fn renders_an_edited_target_from_the_state_and_asks_again_without_one() {
    for grant in GRANTS {
        let asks = Action::Exchange(Why::TargetLost);
        let action = if SPENDING.contains(&grant) { Action::Render } else { asks };
        let mut scene = Scene::of(grant);
        scene.target.as_mut().unwrap().fields = 0;
        assert_eq!(scene.plan().action, action, "{grant}");
    }
}

#[test]
fn renders_when_labels_or_annotations_of_the_spec_change() {
    let mut scene = Scene::of("refreshToken");
    scene.spec.target.labels = BTreeMap::from([("a".into(), "b".into())]);
    assert_eq!(scene.plan().action, Action::Render);
}

#[test]
fn does_not_render_an_expired_token() {
    let scene = Scene { target: None, ..Scene::of("refreshToken") };
    assert_eq!(scene.plan_at(NOW + 3000).action, Action::Exchange(Why::Due));
}

#[test]
fn an_edit_of_the_request_acts_at_once() {
    for grant in GRANTS {
        let mut scene = Scene::of(grant);
        scene.spec.scopes = vec!["a".into()];
        let plan = scene.plan();
        assert_eq!(plan.action, Action::Exchange(Why::RequestChanged), "{grant}");
        assert_ne!(reason(&plan), Reason::Fresh);
    }
}

#[test]
fn an_edit_of_the_source_acts_at_once_unless_it_is_known_to_say_the_same() {
    for grant in GRANTS {
        let mut scene = Scene::of(grant);
        scene.source.as_mut().unwrap().version = "8".into();
        assert_eq!(scene.plan().action, Action::Exchange(Why::SourceChanged), "{grant}");
        scene.known_source = Some("8");
        assert_eq!(scene.plan().action, Action::Wait, "{grant}");
    }
}

#[test]
fn two_requests_keep_the_minimum_interval() {
    let scene = Scene {
        state: None,
        target: None,
        last_attempt: Some(at(NOW - 4)),
        ..Scene::of("refreshToken")
    };
    let plan = scene.plan();
    assert_eq!((plan.action, plan.wake_at), (Action::Wait, Some(at(NOW + 6))));
    assert_eq!(scene.plan_at(NOW + 6).action, Action::Exchange(Why::First));
}

#[test]
fn a_renewal_is_not_announced_sooner_than_the_minimum_interval_allows() {
    let mut scene = Scene::of("clientCredentials");
    let renewal = crate::api::renewal::RenewalSpec {
        min_interval: Some(Duration::from_secs(3000).into()),
        ..Default::default()
    };
    scene.spec.renewal = Some(Box::new(renewal));
    let plan = scene.plan();
    assert_eq!((plan.next_renewal, plan.wake_at), (Some(at(NOW + 2400)), Some(at(NOW + 2400))));
    assert_eq!(scene.plan_at(NOW + 2400).action, Action::Exchange(Why::Due));
}

#[test]
fn a_foreign_target_is_not_touched() {
    for owner in [None, Some("other".to_owned())] {
        let mut scene = Scene::of("refreshToken");
        scene.target.as_mut().unwrap().credential = owner;
        let plan = scene.plan_at(NOW + 10_000);
        assert_eq!((plan.action, reason(&plan)), (Action::Wait, Reason::TargetConflict));
    }
}

#[test]
fn the_younger_of_two_credentials_on_one_target_waits() {
    let plan = Scene { rival: Some("older"), ..Scene::of("refreshToken") }.plan();
    assert_eq!((plan.action, reason(&plan)), (Action::Wait, Reason::TargetConflict));
}

#[test]
fn a_missing_source_is_said_and_waited_for() {
    let plan =
        Scene { source: None, state: None, target: None, ..Scene::of("refreshToken") }.plan();
    assert_eq!(
        (plan.action, reason(&plan), plan.wake_at),
        (Action::Wait, Reason::SourceNotFound, None)
    );
}

#[test]
fn a_suspended_credential_sends_nothing_and_wakes_when_its_token_expires() {
    let plan = Scene { suspended: true, ..Scene::of("refreshToken") }.plan_at(NOW + 2999);
    assert_eq!(
        (plan.action, reason(&plan), plan.wake_at),
        (Action::Wait, Reason::Suspended, Some(at(NOW + 3000)))
    );
}

#[test]
fn nothing_is_renewed_earlier_than_the_server_allows() {
    let mut scene = Scene::of("refreshToken");
    let provider = json!({"tokenEndpoint": "https://as.example/t", "earliestRenewal": "30s"});
    scene.spec.provider = serde_json::from_value(provider).unwrap();
    scene.spec.scopes = vec!["more".to_owned()];
    let plan = scene.plan();
    assert_eq!((plan.action, plan.next_renewal), (Action::Wait, Some(at(NOW + 3000 - 25))));
    // A human who signs in again is not kept waiting.
    scene.source = Some(SecretFacts { version: "8".into(), ..SecretFacts::default() });
    scene.spec.scopes = Vec::new();
    assert_eq!(scene.plan().action, Action::Exchange(Why::SourceChanged));
}

#[test]
fn nothing_else_begins_while_an_exchange_is_under_way() {
    let plan = Scene { in_flight: true, ..Scene::of("refreshToken") }.plan_at(NOW + 2000);
    assert_eq!((plan.action, reason(&plan)), (Action::Wait, Reason::Fresh));
}

#[test]
fn a_failure_is_waited_out_and_then_tried_again() {
    let scene = Scene { state: None, target: None, ..Scene::of("refreshToken") }
        .failing(Reason::RateLimited, 100);
    let plan = scene.plan();
    assert_eq!(
        (plan.action, reason(&plan), plan.wake_at),
        (Action::Wait, Reason::RateLimited, Some(at(NOW + 100)))
    );
    assert_eq!(scene.plan_at(NOW + 100).action, Action::Exchange(Why::First));
}

#[test]
fn a_failure_ends_with_a_change_of_source_or_spec() {
    let mut scene = Scene { state: None, target: None, ..Scene::of("refreshToken") }
        .failing(Reason::SourceInvalid, 0);
    assert_eq!(scene.plan_at(NOW + 1_000_000).action, Action::Wait);
    scene.source.as_mut().unwrap().version = "8".into();
    assert_eq!(scene.plan().action, Action::Exchange(Why::First));
}

#[test]
fn a_dead_refresh_token_is_never_sent_again_and_a_new_seed_is() {
    let mut scene = Scene::of("refreshToken");
    scene.state.as_mut().unwrap().refused_source = Some("7".into());
    scene.state.as_mut().unwrap().refused_at = Some(at(NOW - 10));
    let plan = scene.plan_at(NOW + 10_000);
    assert_eq!(
        (plan.action, reason(&plan), plan.wake_at),
        (Action::Wait, Reason::ReauthorizationRequired, None)
    );
    scene.source.as_mut().unwrap().version = "8".into();
    assert!(matches!(scene.plan_at(NOW + 10_000).action, Action::Exchange(_)));
}

#[test]
fn a_spent_seed_is_not_sent_when_the_state_is_gone() {
    let mut scene = Scene { state: None, ..Scene::of("refreshToken") };
    scene.target.as_mut().unwrap().record.as_mut().unwrap().rotations = 1;
    let plan = scene.plan();
    assert_eq!((plan.action, reason(&plan)), (Action::Wait, Reason::ReauthorizationRequired));
}

#[test]
fn a_state_that_was_lost_and_put_back_is_used() {
    let mut scene = Scene::of("refreshToken").failing(Reason::ReauthorizationRequired, 0);
    let failed_at = scene.failure.as_ref().unwrap().last_attempt.as_second();
    let mut made_at = |time| {
        scene.state.as_mut().unwrap().created = Some(at(time));
        scene.plan_at(NOW + 10_000).action
    };
    assert_eq!(made_at(failed_at - 1), Action::Wait);
    assert_eq!(made_at(failed_at), Action::Exchange(Why::Due));
    // What refused its token stands in it.
    let state = scene.state.as_mut().unwrap();
    (state.refused_source, state.refused_at) = (Some("7".into()), Some(at(failed_at)));
    assert_eq!(reason(&scene.plan_at(NOW + 10_000)), Reason::ReauthorizationRequired);
}

fn claim(started_at: i64, tries: Option<(u32, u32)>) -> Box<Claim> {
    let unresolved = tries.map(|(tries, tries_after_hold)| Unresolved {
        tries,
        tries_after_hold,
        first_at: at(started_at),
        last_at: at(started_at),
    });
    Box::new(Claim {
        exchange: "x".into(),
        token: "hash".into(),
        salt: "salt".into(),
        holder: Holder { pod: "p".into(), name: None, namespace: None, incarnation: "i".into() },
        source_version: "7".into(),
        term: 0,
        started_at: at(started_at),
        unresolved,
        over: unresolved.is_some(),
        why: unresolved.map(|_| "no answer".into()),
        not_before: None,
        displaced: None,
    })
}

fn claimed(claim: Box<Claim>, standing: Standing) -> Scene {
    let mut scene = Scene::of("refreshToken");
    let rotated = Record { rotations: 1, ..record(&scene.spec) };
    scene.state =
        Some(SecretFacts { claim: Some(claim), ..secret(&scene.spec, Some(rotated.clone())) });
    scene.target = Some(secret(&scene.spec, Some(rotated)));
    scene.claim_standing = Some(standing);
    scene
}

#[test]
fn somebody_elses_claim_is_looked_into_before_anything_else_is_sent() {
    let scene = claimed(claim(NOW - 3, None), Standing::Alive { first_seen: at(NOW - 2) });
    assert_eq!(scene.plan().action, Action::Exchange(Why::Claimed));
}

#[test]
fn an_outcome_nobody_knows_is_said_and_held_until_shortly_before_the_token_expires() {
    let scene = claimed(claim(NOW - 300, Some((4, 0))), Standing::Dead);
    let plan = scene.plan();
    assert_eq!(reason(&plan), Reason::ExchangeOutcomeUnknown);
    assert_eq!(plan.action, Action::Wait);
    assert_eq!(plan.next_renewal, Some(at(NOW + 3000 - 60)));
    assert!(is_ready(&scene.world(&scene.resolved()), at(NOW)), "its token is good still");
    assert_eq!(scene.plan_at(NOW + 2940).action, Action::Exchange(Why::Unresolved));
}

#[test]
fn an_outcome_nobody_knows_is_given_up_after_a_day_of_tries() {
    let scene = claimed(claim(NOW - 300, Some((32, 31))), Standing::Dead);
    assert_eq!(reason(&scene.plan()), Reason::ReauthorizationRequired);
    assert_eq!(scene.plan_at(NOW + 1_000_000).action, Action::Wait);
    let asked = Scene { asked_at: Some(at(NOW)), ..scene };
    assert_eq!(asked.plan().action, Action::Exchange(Why::Unresolved));
}

#[test]
fn a_new_source_need_not_wait_for_what_becomes_of_the_old_token() {
    let mut scene = claimed(claim(NOW - 300, Some((4, 0))), Standing::Dead);
    scene.source.as_mut().unwrap().version = "8".into();
    assert_eq!(scene.plan().action, Action::Exchange(Why::SourceChanged));
    scene.known_source = Some("8");
    assert_eq!(scene.plan().action, Action::Wait);
}

#[test]
fn a_try_that_could_not_be_made_is_not_made_again_at_once() {
    let scene = claimed(claim(NOW - 5, Some((1, 0))), Standing::Dead);
    assert_eq!(scene.plan().action, Action::Exchange(Why::Unresolved));
    let scene = scene.failing(Reason::EndpointUnreachable, 0);
    assert_eq!(scene.plan().action, Action::Wait);
}

#[test]
fn a_state_set_back_while_the_newer_one_is_known_is_looked_into() {
    let known = |state: Option<SecretFacts>| {
        let newest_generation = Some(2);
        Scene { state, newest_generation, ..Scene::of("refreshToken") }.plan().action
    };
    let older = Scene::of("refreshToken").state;
    assert_eq!(known(older.clone()), Action::Exchange(Why::StateSetBack));
    assert_eq!(known(None), Action::Exchange(Why::StateSetBack));
    let mut newer = older;
    newer.as_mut().unwrap().record.as_mut().unwrap().revision = 2;
    assert_ne!(known(newer), Action::Exchange(Why::StateSetBack));
}

#[test]
fn an_edited_state_is_looked_into_once() {
    let mut scene = Scene::of("refreshToken");
    scene.state.as_mut().unwrap().edited = true;
    assert_eq!(scene.plan().action, Action::Exchange(Why::StateEdited));
    scene.known_state = Some("9");
    assert_eq!(scene.plan().action, Action::Wait);
    scene.known_state = None;
    assert_eq!(scene.failing(Reason::StateInvalid, 0).plan().action, Action::Wait);
}

#[test]
fn a_state_older_than_its_target_is_not_used_and_the_target_not_overwritten() {
    let mut scene = Scene::of("refreshToken");
    let target = scene.target.as_mut().unwrap().record.as_mut().unwrap();
    (target.revision, target.rotations) = (5, 4);
    assert_eq!(reason(&scene.plan()), Reason::StateOutdated);
    assert_eq!(scene.plan().action, Action::Wait);
    scene.asked_at = Some(at(NOW));
    scene.state.as_mut().unwrap().record.as_mut().unwrap().expires_at = Some(at(NOW - 1));
    assert_eq!(scene.plan().action, Action::Exchange(Why::Due));
}

#[test]
fn a_user_who_asks_ends_a_wait() {
    let scene = Scene::of("refreshToken").failing(Reason::RequestRejected, 0);
    assert_eq!(scene.plan_at(NOW + 2500).action, Action::Wait);
    let asked = Scene { asked_at: Some(at(NOW + 2400)), ..scene };
    assert_eq!(asked.plan_at(NOW + 2500).action, Action::Exchange(Why::Due));
}

#[test]
fn a_token_issued_in_the_future_is_of_no_known_age_and_renewed() {
    let mut scene = Scene::of("refreshToken");
    for secret in [&mut scene.state, &mut scene.target] {
        let record = secret.as_mut().unwrap().record.as_mut().unwrap();
        (record.issued_at, record.expires_at) = (at(NOW + 3600), Some(at(NOW + 7200)));
    }
    assert_eq!(scene.plan().action, Action::Exchange(Why::Due));
}

#[test]
fn an_unknown_lifetime_is_said_and_nothing_is_sent() {
    for grant in GRANTS {
        let mut scene = Scene::of(grant);
        let record = Record { expires_at: None, ..record(&scene.spec) };
        scene.state = scene.state.map(|_| secret(&scene.spec, Some(record.clone())));
        scene.target = Some(secret(&scene.spec, Some(record)));
        let plan = scene.plan_at(NOW + 1_000_000);
        assert_eq!(
            (plan.action, reason(&plan), plan.wake_at),
            (Action::Wait, Reason::LifetimeUnknown, None),
            "{grant}"
        );
    }
}

#[test]
fn a_target_that_could_not_be_written_is_not_written_again_at_once() {
    let scene =
        Scene { target: None, ..Scene::of("refreshToken") }.failing(Reason::TargetNotWritable, 100);
    assert_eq!(scene.plan().action, Action::Wait);
    assert_eq!(scene.plan_at(NOW + 100).action, Action::Render);
}

prop_compose! {
    fn scenes()(
        grant in prop::sample::select(GRANTS.to_vec()),
        source in prop::option::of(7_u32..9),
        has_state in any::<bool>(),
        has_target in any::<bool>(),
        foreign in any::<bool>(),
        edited in any::<bool>(),
        lifetime in prop::option::of(1_i64..100_000),
        age in 0_i64..100_000,
        suspended in any::<bool>(),
        in_flight in any::<bool>(),
        refused in any::<bool>(),
        failed in prop::option::of(0_u64..1000),
        last_attempt in prop::option::of(0_i64..1000),
    ) -> Scene {
        let mut scene = Scene::of(grant);
        let issued_at = at(NOW - age);
        let record = Record { issued_at, expires_at: lifetime.map(|lifetime| at(NOW - age + lifetime)), ..record(&scene.spec) };
        scene.source = source.map(|version| SecretFacts { version: version.to_string(), ..SecretFacts::default() });
        scene.state = scene.state.filter(|_| has_state).map(|_| secret(&scene.spec, Some(record.clone())));
        if let Some(state) = scene.state.as_mut().filter(|_| refused) {
            state.refused_source = Some("7".into());
            state.refused_at = Some(at(NOW - 10));
        }
        scene.target = has_target.then(|| secret(&scene.spec, Some(record)));
        if let Some(target) = scene.target.as_mut() {
            if foreign { target.credential = None; }
            if edited { target.fields = 0; }
        }
        scene.suspended = suspended;
        scene.in_flight = in_flight;
        scene.last_attempt = last_attempt.map(|ago| at(NOW - ago));
        match failed { Some(after) => scene.failing(Reason::ServerError, after), None => scene }
    }
}

proptest! {
    #[test]
    fn a_wait_never_wakes_in_the_past_and_never_too_early_to_act(scene in scenes()) {
        let plan = scene.plan();
        if let (Action::Wait, Some(wake_at)) = (plan.action, plan.wake_at) {
            prop_assert!(wake_at > at(NOW), "a wake in the past would be a hot loop");
        }
    }

    #[test]
    fn nothing_is_sent_for_who_may_not(scene in scenes()) {
        let plan = scene.plan();
        let foreign = scene.target.as_ref().is_some_and(|target| target.credential.is_none());
        if scene.suspended || scene.in_flight || scene.source.is_none() || foreign {
            prop_assert!(!matches!(plan.action, Action::Exchange(_)));
        }
    }

    #[test]
    fn a_successful_exchange_leads_to_rest(scene in scenes()) {
        let Action::Exchange(_) = scene.plan().action else { return Ok(()) };
        let source_version = scene.source.as_ref().unwrap().version.clone();
        let record = Record {
            issued_at: at(NOW), expires_at: Some(at(NOW + 3600)), source_version, ..record(&scene.spec)
        };
        let after = Scene {
            state: scene.resolved().unwrap().grant.spends().then(|| secret(&scene.spec, Some(record.clone()))),
            target: Some(secret(&scene.spec, Some(record))),
            failure: None,
            ..scene
        };
        prop_assert_eq!(after.plan().action, Action::Wait);
    }
}
