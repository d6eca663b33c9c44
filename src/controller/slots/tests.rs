#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

mod many_namespaces;
mod slow;
mod told;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::*;

const FLOOD: usize = 10_000;

/// Time that stands still unless everybody waits.
fn paused() -> Duration {
    thread_local!(static START: Instant = Instant::now());
    START.with(Instant::elapsed)
}

/// Slots whose time is kept, as in the operator, and which are past their beginning at a host.
fn slots(number: usize) -> Slots {
    paused();
    let slots = Slots::with_clock(number, paused);
    let kept = slots.clone();
    tokio::spawn(async move { kept.keep_time().await });
    slots
}

fn take(slots: &Slots, namespace: &str, host: &str) -> Option<Slot> {
    slot(slots.wait(namespace, host, Press::Usual, None)).now_or_never()
}

/// Waits for the slot, whatever else is told.
async fn slot(mut turn: Turn) -> Slot {
    loop {
        match turn.news().await {
            News::Slot(slot) => return slot,
            News::Held(_) => {}
            News::Never => panic!("the slots are gone"),
        }
    }
}

/// Has slots at a host run at full pace.
async fn warm(slots: &Slots, namespace: &str, host: &str) {
    take(slots, namespace, host).unwrap().outcome = Outcome::Answered;
    sleep(Duration::from_secs(10)).await;
}

async fn request(slots: &Slots, namespace: &str, host: &str, time: Duration, outcome: Outcome) {
    let mut slot = slot(slots.wait(namespace, host, Press::Usual, None)).await;
    sleep(time).await;
    (slot.outcome, slot.took) = (outcome, time);
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_slow_host_leaves_slots_to_others() {
    let slots = slots(8);
    warm(&slots, "n", "slow").await;
    let held: Vec<_> = (0..2).map(|_| take(&slots, "n", "slow").unwrap()).collect();
    assert!(take(&slots, "n", "slow").is_none());
    assert!(take(&slots, "n", "quick").is_some());
    drop(held);
    assert!(take(&slots, "n", "slow").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waits_for_its_commit_leaves_the_host_to_others() {
    let slots = slots(4);
    let waiting: Vec<_> = (0..FOR_A_LANE)
        .map(|_| {
            let mut slot = take(&slots, "n", "h").unwrap();
            slot.answered();
            slot
        })
        .collect();
    assert!(take(&slots, "n", "h").is_none(), "its namespace has its share");
    assert!(take(&slots, "other", "h").is_some());
    drop(waiting);
    assert!(take(&slots, "n", "h").is_some());
}

/// The longest that one who renews now and then has to wait beside a flood.
async fn longest_wait(slots: &Slots, flood: JoinSet<()>, host: &str) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        sleep(seconds(7)).await;
        let begun = paused();
        request(slots, "quiet", host, seconds(1), Outcome::Answered).await;
        longest = longest.max(paused().saturating_sub(begun));
    }
    assert!(!flood.is_empty(), "the flood was over before");
    longest
}

#[tokio::test(start_paused = true)]
async fn a_flood_in_one_namespace_delays_no_other_at_the_same_host() {
    for outcome in [Outcome::Answered, Outcome::Failed(Trouble::Failing(Duration::ZERO))] {
        let slots = slots(32);
        let mut flood = JoinSet::new();
        for _ in 0..FLOOD {
            let slots = slots.clone();
            flood.spawn(async move { request(&slots, "noisy", "h", seconds(30), outcome).await });
        }
        let longest = longest_wait(&slots, flood, "h").await;
        assert!(longest < seconds(5), "{longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_at_many_hosts_delays_no_other_namespace() {
    let slots = slots(32);
    let mut flood = JoinSet::new();
    for at in 0..FLOOD {
        let (slots, host) = (slots.clone(), format!("h{at}"));
        flood.spawn(async move {
            request(
                &slots,
                "noisy",
                &host,
                seconds(120),
                Outcome::Failed(Trouble::Failing(Duration::ZERO)),
            )
            .await;
        });
    }
    let longest = longest_wait(&slots, flood, "h").await;
    assert!(longest < seconds(5), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn namespaces_take_turns_at_a_host() {
    let slots = Slots::with_clock(4, paused);
    let first = take(&slots, "a", "h").unwrap();
    let names = ["a", "a", "a", "b", "b"];
    let mut turns: Vec<(&str, Turn)> =
        names.into_iter().map(|name| (name, slots.wait(name, "h", Press::Usual, None))).collect();
    drop(first);
    let mut order = String::new();
    loop {
        let given = turns.iter_mut().position(|(_, turn)| {
            // The slot is given back at once.
            turn.turn.try_recv().is_ok()
        });
        let Some(at) = given else { break };
        order.push_str(turns.remove(at).0);
    }
    assert!(["ababa", "babaa"].contains(&order.as_str()), "{order}");
}

/// As many failures as have requests held back.
async fn fail_in_a_row(slots: &Slots) {
    warm(slots, "n", "h").await;
    for _ in 0..5 {
        take(slots, "n", "h").unwrap().outcome = Outcome::Failed(Trouble::Failing(Duration::ZERO));
    }
}

/// An empty answer.
fn answer(status: u16, ending: Ending) -> RawResponse {
    RawResponse {
        status,
        retry_after: None,
        received_at: jiff::Timestamp::UNIX_EPOCH,
        ending,
        body: Vec::new().into(),
        set_cookies: Vec::new(),
    }
}

/// One in a hurry, if it may begin at once.
fn hurry(slots: &Slots, namespace: &str, host: &str) -> Option<Slot> {
    slot(slots.wait(namespace, host, Press::Now, None)).now_or_never()
}

#[tokio::test(start_paused = true)]
async fn those_in_a_hurry_go_first_and_in_their_order() {
    let slots = Slots::with_clock(4, paused);
    let first = take(&slots, "n", "h").unwrap();
    let beside = hurry(&slots, "n", "h").unwrap();
    let mut usual = slots.wait("n", "h", Press::Usual, None);
    let [mut one, mut two] = [(); 2].map(|()| slots.wait("n", "h", Press::Now, None));
    drop(first);
    assert!(usual.turn.try_recv().is_err() && two.turn.try_recv().is_err());
    let one = one.turn.try_recv().unwrap();
    drop(one);
    assert!(usual.turn.try_recv().is_err());
    assert!(two.turn.try_recv().is_ok());
    drop(beside);
    assert!(usual.turn.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn some_may_go_first_without_more_room_and_in_their_order() {
    let slots = Slots::with_clock(4, paused);
    let slot = take(&slots, "n", "h").unwrap();
    let mut usual = slots.wait("n", "h", Press::Usual, None);
    let [mut first, mut second] = [(); 2].map(|()| slots.wait("n", "h", Press::First, None));
    assert!(first.turn.try_recv().is_err());
    drop(slot);
    assert!(usual.turn.try_recv().is_err() && second.turn.try_recv().is_err());
    drop(first.turn.try_recv().unwrap());
    assert!(usual.turn.try_recv().is_err());
    drop(second.turn.try_recv().unwrap());
    let mut third = slots.wait("n", "h", Press::First, None);
    assert!(third.turn.try_recv().is_err());
    drop(usual.turn.try_recv().unwrap());
    assert!(third.turn.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_in_a_hurry_passes_a_limit_that_counts_it() {
    let slots = slots(32);
    slots.limit("uid", "n", Some(("h", RateLimit { requests: 1, per: seconds(60) })));
    take(&slots, "n", "h").unwrap().outcome = Outcome::Answered;
    sleep(seconds(30)).await;
    assert!(take(&slots, "n", "h").is_none());
    hurry(&slots, "n", "h").unwrap().outcome = Outcome::Answered;
    let begun = paused();
    request(&slots, "n", "h", Duration::ZERO, Outcome::Answered).await;
    assert!(paused().saturating_sub(begun) >= seconds(60), "it counts for those that follow");
}

#[tokio::test(start_paused = true)]
async fn one_in_a_hurry_passes_the_breaker() {
    let slots = slots(32);
    fail_in_a_row(&slots).await;
    assert!(take(&slots, "n", "h").is_none());
    hurry(&slots, "n", "h").unwrap().outcome = Outcome::Failed(Trouble::Failing(Duration::ZERO));
    assert!(take(&slots, "n", "h").is_none());
    // While one tries whether the server is back, too; and an answer tells that it is.
    sleep(seconds(10)).await;
    let trial = take(&slots, "n", "h").unwrap();
    hurry(&slots, "n", "h").unwrap().outcome = Outcome::Answered;
    assert!(take(&slots, "n", "h").is_some());
    drop(trial);
}

#[tokio::test(start_paused = true)]
async fn those_in_a_hurry_have_room_beyond_full_shares_and_no_more() {
    let slots = slots(32);
    for host in ["h", "other"] {
        warm(&slots, "n", host).await;
        warm(&slots, "m", host).await;
    }
    let full: Vec<_> = (0..7).map(|_| take(&slots, "n", "h").unwrap()).collect();
    assert!(take(&slots, "n", "h").is_none());
    let begun = |namespace, host| {
        std::iter::from_fn(|| hurry(&slots, namespace, host)).take(99).collect::<Vec<_>>()
    };
    let beyond = begun("n", "h");
    assert_eq!(beyond.len(), 2, "of one namespace at one host");
    assert!(take(&slots, "m", "h").is_some(), "the share of others is theirs still");
    let last = take(&slots, "m", "h").unwrap();
    assert_eq!(begun("m", "h").len(), 2, "another namespace has room at that host");
    drop((beyond, last));
    assert_eq!(begun("n", "h").len(), 2, "what ended is given back");
    drop(full);
}

#[tokio::test(start_paused = true)]
async fn those_in_a_hurry_take_the_room_that_a_breaker_keeps_from_others() {
    let slots = slots(32);
    fail_in_a_row(&slots).await;
    let usual = slots.wait("n", "h", Press::Usual, None);
    let begun: Vec<_> = std::iter::from_fn(|| hurry(&slots, "n", "h")).take(99).collect();
    assert_eq!(begun.len(), 7 + 2, "the share of a namespace at a host, and beyond");
    drop(begun);
    sleep(seconds(10)).await;
    slot(usual).await.outcome = Outcome::Answered;
    assert!(take(&slots, "n", "h").is_some(), "one trial, and it goes on");
}

#[tokio::test(start_paused = true)]
async fn where_a_server_asks_to_come_later_it_is_not_asked_by_all() {
    let slots = slots(32);
    for status in [429, 503, 403] {
        let host = status.to_string();
        warm(&slots, "n", &host).await;
        let limited = answer(status, Ending::Whole);
        let limited = RawResponse { retry_after: Some("120".to_owned()), ..limited };
        let sent = std::iter::from_fn(|| take(&slots, "n", &host)).take(99);
        let sent = sent.map(|mut slot| slot.saw(&Ok(limited.clone()), Duration::ZERO)).count();
        assert_eq!(sent, 5, "{status}");
        let begun = paused();
        slot(slots.wait("n", &host, Press::Usual, None)).await.saw(&Ok(limited), Duration::ZERO);
        let waited = paused().saturating_sub(begun);
        assert!((seconds(120)..=seconds(144)).contains(&waited), "{status}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_the_code_of_an_answer_tells_counts_as_well() {
    let slots = slots(32);
    let passing = |retry_after| TokenError::Server { status: 400, retry_after };
    let said = |host: &str, read: &TokenError| {
        let mut slots = std::iter::from_fn(|| take(&slots, "n", host)).take(99);
        let mut end = |mut slot: Slot| {
            slot.saw(&Ok(answer(400, Ending::Whole)), Duration::ZERO);
            slot.was_read(Some(read));
        };
        slots.by_ref().map(&mut end).count()
    };
    for (host, wait) in [("a", None), ("b", Some(seconds(120)))] {
        warm(&slots, "n", host).await;
        assert_eq!(said(host, &passing(wait)), 5);
        let held = slots.shared.lock().held(&Place::new("n", host)).map(|held| held.trouble);
        assert_eq!(held, Some(Trouble::Failing(wait.unwrap_or_default())));
    }
    warm(&slots, "n", "c").await;
    assert_eq!(said("c", &TokenError::InvalidGrant(String::new())), 99);
}

#[tokio::test(start_paused = true)]
async fn what_is_our_own_fault_or_half_an_answer_does_not_speak_for_the_server() {
    let slots = slots(32);
    warm(&slots, "n", "h").await;
    let ends = |answer: Result<RawResponse, TokenError>, times| {
        for _ in 0..times {
            let Some(mut slot) = take(&slots, "n", "h") else { return };
            slot.saw(&answer, Duration::ZERO);
        }
    };
    let held = || slots.shared.lock().held(&Place::new("n", "h")).map(|held| held.trouble);
    // A slow claim, a lost Lease, a key that can't sign.
    ends(Err(TokenError::NotSent(String::new())), 20);
    ends(Err(TokenError::Denied(String::new())), 20);
    assert_eq!(held(), None);
    let broken_off = |status| answer(status, Ending::BrokenOff);
    ends(Ok(broken_off(200)), 5);
    assert_eq!(held(), Some(Trouble::Failing(Duration::ZERO)));
    // Nor does one close it again.
    sleep(seconds(10)).await;
    ends(Ok(broken_off(400)), 1);
    assert_eq!(held(), Some(Trouble::Failing(Duration::ZERO)));
    sleep(seconds(30)).await;
    ends(Ok(answer(400, Ending::Whole)), 1);
    assert_eq!(held(), None);
    ends(Err(TokenError::Unreachable(String::new(), Side::Server)), 5);
    assert_eq!(held(), Some(Trouble::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_is_tried_by_one_at_a_time_and_all_are_told_once() {
    let slots = slots(32);
    let (mut tasks, under_way) = (JoinSet::new(), Arc::new(Mutex::new((0_usize, Vec::new()))));
    for _ in 0..1000 {
        let (slots, under_way) = (slots.clone(), Arc::clone(&under_way));
        tasks.spawn(async move {
            let mut turn = slots.wait("n", "h", Press::Usual, None);
            let mut told = 0;
            let mut slot = loop {
                match turn.news().await {
                    News::Slot(slot) => break slot,
                    News::Held(held) => {
                        assert_eq!(held.trouble, Trouble::Unreachable);
                        told += 1;
                    }
                    News::Never => panic!("the slots are gone"),
                }
            };
            {
                let (now, starts) = &mut *under_way.lock().unwrap();
                *now += 1;
                starts.push((paused(), *now));
            }
            sleep(seconds(10)).await;
            under_way.lock().unwrap().0 -= 1;
            let is_back = paused() > seconds(1200);
            slot.outcome =
                if is_back { Outcome::Answered } else { Outcome::Failed(Trouble::Unreachable) };
            told
        });
    }
    let mut told = 0;
    while let Some(ended) = tasks.join_next().await {
        told += ended.unwrap();
    }
    let starts = under_way.lock().unwrap().1.clone();
    let until = |time| starts.iter().filter(move |(at, _)| *at < seconds(time));
    assert!(until(1200).count() < 30, "{starts:?}");
    assert!(until(1200).filter(|(at, _)| *at > seconds(60)).all(|(_, at_once)| *at_once == 1));
    assert!((970..1000).contains(&told), "{told} of those that waited were told");
    assert!(starts.iter().all(|(_, at_once)| *at_once <= 8));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_at_a_start_does_not_go_out_at_once() {
    let slots = slots(32);
    let begun = paused();
    let (mut tasks, starts) = (JoinSet::new(), Arc::new(Mutex::new(Vec::new())));
    for at in 0..FLOOD {
        let (slots, starts, namespace) =
            (slots.clone(), Arc::clone(&starts), format!("n{}", at % 10));
        tasks.spawn(async move {
            let mut slot = slot(slots.wait(&namespace, "h", Press::Usual, None)).await;
            starts.lock().unwrap().push(paused());
            sleep(Duration::from_millis(100)).await;
            slot.outcome = Outcome::Answered;
        });
    }
    while tasks.join_next().await.is_some() {}
    let starts = starts.lock().unwrap();
    let in_second = |second| {
        let from = begun + seconds(second);
        starts.iter().filter(|at| (from..from + seconds(1)).contains(*at)).count()
    };
    assert_eq!(starts.len(), FLOOD);
    assert!(
        (0..200).all(|second| in_second(second) <= 90),
        "eight at once, ten of each in a second"
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_one_credential_holds_for_its_namespace_at_the_host() {
    let slots = slots(32);
    let limit = RateLimit { requests: 10, per: seconds(60) };
    slots.limit("uid", "n", Some(("h", limit)));
    let (mut tasks, starts) = (JoinSet::new(), Arc::new(Mutex::new(Vec::new())));
    for _ in 0..40 {
        let (slots, starts) = (slots.clone(), Arc::clone(&starts));
        tasks.spawn(async move {
            request(&slots, "n", "h", Duration::ZERO, Outcome::Answered).await;
            starts.lock().unwrap().push(paused());
        });
    }
    sleep(seconds(1)).await;
    assert!(take(&slots, "other", "h").is_some());
    assert!(take(&slots, "n", "other").is_some());
    while tasks.join_next().await.is_some() {}
    let starts = starts.lock().unwrap().clone();
    assert!(
        starts.windows(11).all(|window| window[10].saturating_sub(window[0]) >= seconds(60)),
        "{starts:?}"
    );
    assert!(starts[39].saturating_sub(starts[0]) < seconds(200));
    for _ in 0..10 {
        drop(slot(slots.wait("n", "h", Press::Usual, None)).await);
    }
    slots.forget("uid");
    for _ in 0..100 {
        take(&slots, "n", "h").unwrap().outcome = Outcome::Answered;
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_no_longer_are_passed_over() {
    let slots = Slots::with_clock(4, paused);
    let first = take(&slots, "n", "h").unwrap();
    for _ in 0..FLOOD {
        drop(slots.wait("n", "h", Press::Usual, None));
    }
    let mut last = slots.wait("n", "h", Press::Usual, None);
    drop(first);
    assert!(last.turn.try_recv().is_ok());
}
