//! Many namespaces with little to do each, at one host.

use super::*;

const MANY: usize = 1000;
/// When the server is back.
const BACK: Duration = Duration::from_secs(1200);

fn name(at: usize) -> String {
    format!("n{at}")
}

/// One request that failed of each of so many namespaces.
async fn fail_in(slots: &Slots, namespaces: usize) {
    for at in 0..namespaces {
        let mut slot = slot(slots.wait(&name(at), "h", Press::Now, None)).await;
        slot.outcome = Outcome::Failed(Trouble::Failing(Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_is_tried_by_one_namespace_at_a_time() {
    let slots = slots(32);
    let (mut tasks, under_way) = (JoinSet::new(), Arc::new(Mutex::new((0_usize, Vec::new()))));
    for at in 0..MANY {
        let (slots, under_way) = (slots.clone(), Arc::clone(&under_way));
        tasks.spawn(async move {
            let mut told = 0;
            loop {
                let mut turn = slots.wait(&name(at), "h", Press::Usual, None);
                let mut slot = loop {
                    match turn.news().await {
                        News::Slot(slot) => break slot,
                        News::Held(_) => told = 1,
                        News::Never => panic!("the slots are gone"),
                    }
                };
                let at_once = &under_way;
                {
                    let (now, starts) = &mut *at_once.lock().unwrap();
                    *now += 1;
                    starts.push((paused(), *now));
                }
                sleep(seconds(1)).await;
                at_once.lock().unwrap().0 -= 1;
                if paused() > BACK {
                    slot.outcome = Outcome::Answered;
                    return told;
                }
                slot.outcome = Outcome::Failed(Trouble::Unreachable);
                drop(slot);
                // As after any failure.
                sleep(seconds(5)).await;
            }
        });
    }
    let mut told = 0;
    while let Some(ended) = tasks.join_next().await {
        told += ended.unwrap();
    }
    let starts = under_way.lock().unwrap().1.clone();
    let down = starts.iter().filter(|(at, _)| *at < BACK);
    assert!(down.clone().count() < 80, "{:?}", down.collect::<Vec<_>>());
    assert!(down.filter(|(at, _)| *at > seconds(10)).all(|(_, at_once)| *at_once == 1));
    assert!(told > MANY - 80, "{told} of those that waited were told");
    let back = starts.iter().filter(|(at, _)| *at >= BACK).map(|(at, _)| *at);
    let first = back.clone().min().unwrap();
    let within = |time| back.clone().filter(|at| *at <= first + time).count();
    // One, then two, then four; eight at once are all there are.
    assert_eq!([0, 1, 2, 3].map(|second| within(seconds(second))), [1, 3, 7, 15]);
    assert!(starts.iter().all(|(_, at_once)| *at_once <= 8));
}

#[tokio::test(start_paused = true)]
async fn some_namespaces_whose_requests_fail_shut_out_no_other() {
    let slots = slots(32);
    warm(&slots, "n0", "h").await;
    for _ in 0..100 {
        fail_in(&slots, 4).await;
        tokio::task::yield_now().await;
        assert!(take(&slots, "other", "h").is_some());
    }
    fail_in(&slots, 4).await;
    take(&slots, "other", "h").unwrap().outcome = Outcome::Answered;
    fail_in(&slots, 4).await;
    assert!(take(&slots, "other", "h").is_some(), "the row began anew");
    fail_in(&slots, 5).await;
    assert!(take(&slots, "other", "h").is_none());
    assert!(take(&slots, "other", "elsewhere").is_some());
}

#[tokio::test(start_paused = true)]
async fn who_has_not_failed_tries_first_and_its_answer_lets_the_others_go_on() {
    let slots = slots(32);
    warm(&slots, "n0", "h").await;
    fail_in(&slots, 50).await;
    let mut broken: Vec<_> =
        (0..50).map(|at| slots.wait(&name(at), "h", Press::Usual, None)).collect();
    let begun = paused();
    let mut good = slot(slots.wait("good", "h", Press::Usual, None)).await;
    assert!(paused().saturating_sub(begun) < seconds(7), "the first trial is its own");
    assert!(broken.iter_mut().all(|turn| turn.turn.try_recv().is_err()));
    good.outcome = Outcome::Answered;
    drop(good);
    assert!(broken.iter_mut().any(|turn| turn.turn.try_recv().is_ok()));
}

#[tokio::test(start_paused = true)]
async fn wrong_certificates_of_many_namespaces_hold_up_themselves_and_no_other() {
    let slots = slots(32);
    warm(&slots, "n0", "h").await;
    let untrusted = Err(TokenError::Unreachable(String::new(), Side::Caller));
    for at in 0..20 {
        for _ in 0..5 {
            slot(slots.wait(&name(at), "h", Press::Usual, None))
                .await
                .saw(&untrusted, Duration::ZERO);
        }
    }
    assert!(take(&slots, "other", "h").is_some());
    let held = |at: usize| slots.shared.lock().held(&Place::new(&name(at), "h"));
    assert!((0..20).all(|at| held(at).is_some_and(|held| held.trouble == Trouble::Unreachable)));
    // What their servers would do, they hold back all the same.
    let down = Err(TokenError::Unreachable(String::new(), Side::Server));
    for at in 20..25 {
        slot(slots.wait(&name(at), "h", Press::Now, None)).await.saw(&down, Duration::ZERO);
    }
    assert!(take(&slots, "other", "h").is_none());
}

#[tokio::test(start_paused = true)]
async fn one_in_a_hurry_passes_what_holds_all_and_its_answer_ends_it() {
    let slots = slots(32);
    warm(&slots, "n0", "h").await;
    fail_in(&slots, 5).await;
    // Beside one that waits in its namespace.
    let mut usual = slots.wait("n", "h", Press::Usual, None);
    assert!(matches!(usual.news().await, News::Held(_)));
    let mut one = hurry(&slots, "n", "h").unwrap();
    assert!(usual.turn.try_recv().is_err());
    one.outcome = Outcome::Answered;
    drop(one);
    assert!(usual.turn.try_recv().is_ok());
}

#[tokio::test(start_paused = true)]
async fn hosts_that_nobody_calls_any_more_are_forgotten() {
    let slots = slots(32);
    for at in 0..FLOOD {
        let outcome = Outcome::Failed(Trouble::Failing(Duration::ZERO));
        request(&slots, &name(at), &format!("h{at}"), seconds(1), outcome).await;
    }
    let (lanes, hosts) = slots.shared.lock().known();
    assert!(lanes < FLOOD && hosts < FLOOD, "{lanes} {hosts}");
    sleep(seconds(3700)).await;
    for at in 0..FLOOD {
        drop(slot(slots.wait("n", &format!("later{at}"), Press::Usual, None)).await);
    }
    let (lanes, hosts) = slots.shared.lock().known();
    assert!(lanes <= 2 * 1024 && hosts <= 2 * 1024, "{lanes} {hosts}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_late_waits_little_for_what_others_broke() {
    let slots = slots(32);
    warm(&slots, "n0", "h").await;
    let mut broken = JoinSet::new();
    for at in 0..20 {
        let slots = slots.clone();
        broken.spawn(async move {
            loop {
                let outcome = Outcome::Failed(Trouble::Unreachable);
                request(&slots, &name(at), "h", seconds(1), outcome).await;
            }
        });
    }
    for _ in 0..20 {
        sleep(seconds(613)).await;
        let begun = paused();
        let slot = slot(slots.wait("good", "h", Press::Usual, None)).await;
        let waited = paused().saturating_sub(begun);
        assert!(waited < seconds(30), "{waited:?}");
        // Its answer would let the others go on.
        drop(slot);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_that_one_was_asked_for_is_told_to_no_other() {
    let slots = slots(32);
    warm(&slots, "n0", "h").await;
    let limited = Outcome::Failed(Trouble::Limited(seconds(3600)));
    for _ in 0..5 {
        slot(slots.wait("own", "h", Press::Now, None)).await.outcome = limited;
    }
    // The row of the host begins anew.
    take(&slots, "n0", "h").unwrap().outcome = Outcome::Answered;
    fail_in(&slots, 4).await;
    let mut fifth = hurry(&slots, "own", "h").unwrap();
    let _taken: Vec<_> = std::iter::from_fn(|| take(&slots, "other", "h")).collect();
    let mut other = slots.wait("other", "h", Press::Usual, None);
    fifth.outcome = limited;
    drop(fifth);
    let News::Held(held) = other.news().await else { panic!("it is held back") };
    let wait = held.next_trial.saturating_sub(paused());
    assert!(wait <= seconds(24), "{wait:?}");
}
