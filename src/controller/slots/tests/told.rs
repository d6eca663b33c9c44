//! Who is told that it is held back, and when.

use super::*;

const MANY: usize = 1000;

fn since(begun: Duration) -> Duration {
    paused().saturating_sub(begun)
}

/// When each was told, in whole seconds since it began to wait; nothing where it had its turn, or its host was back, before
/// that. Each fails until the server is back, and ends at once.
async fn told(
    slots: &Slots,
    expires_at: impl Fn(usize) -> Option<i64>,
    back: u64,
) -> Vec<Option<u64>> {
    warm(slots, "n", "h").await;
    let begun = paused();
    let mut tasks = JoinSet::new();
    for at in 0..MANY {
        let expires_at = expires_at(at).map(|time| Timestamp::from_second(time).unwrap());
        let mut turn = slots.wait("n", "h", Press::Usual, expires_at);
        tasks.spawn(async move {
            let mut told = None;
            let mut slot = loop {
                match turn.news().await {
                    News::Slot(slot) => break slot,
                    News::Held(_) => told = Some(since(begun).as_secs()),
                    News::Never => panic!("the slots are gone"),
                }
            };
            let is_back = since(begun) >= seconds(back);
            slot.outcome = if is_back {
                Outcome::Answered
            } else {
                Outcome::Failed(Trouble::Failing(Duration::ZERO))
            };
            (at, told)
        });
    }
    let mut all = vec![None; MANY];
    while let Some(ended) = tasks.join_next().await {
        let (at, told) = ended.unwrap();
        all[at] = told;
    }
    all
}

#[tokio::test(start_paused = true)]
async fn those_that_are_held_back_are_told_twenty_a_second() {
    let slots = slots(32);
    let told = told(&slots, |_| None, 300).await;
    let in_second = |second| told.iter().filter(|told| **told == Some(second)).count();
    assert!((0..300).all(|second| in_second(second) <= 20));
    // But for those that failed and those that tried whether the server is back.
    assert!((0..49).all(|second| in_second(second) == 20), "{told:?}");
    let count = told.iter().flatten().count();
    assert!((MANY - 20..MANY).contains(&count), "{count}");
    assert!(told.iter().flatten().all(|second| *second < 50));
}

#[tokio::test(start_paused = true)]
async fn who_has_its_turn_or_whose_host_is_back_is_not_told() {
    let slots = slots(32);
    // Five fail, the first trial is after five to six seconds.
    let told = told(&slots, |_| None, 1).await;
    let count = told.iter().flatten().count();
    assert!((100..=120).contains(&count), "{count}");
    assert!(told.iter().flatten().all(|second| *second <= 6));
}

#[tokio::test(start_paused = true)]
async fn whose_token_ends_first_is_told_first_and_before_it_who_has_none() {
    let slots = slots(32);
    // The later it came, the sooner its token ends; the very last have none.
    let end = |at: usize| (at < MANY - 20).then(|| i64::try_from(MANY - at).unwrap());
    let told = told(&slots, end, 300).await;
    let seconds: Vec<_> = told.iter().rev().flatten().collect();
    assert!(seconds.len() > MANY - 20 && seconds.is_sorted(), "{seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_its_host_is_held_back_is_told_at_the_same_pace() {
    let slots = slots(32);
    fail_in_a_row(&slots).await;
    let begun = paused();
    let mut turns: Vec<_> = (0..50).map(|_| slots.wait("n", "h", Press::Usual, None)).collect();
    let mut seen = Vec::new();
    for turn in &mut turns {
        let News::Held(_) = turn.news().await else { panic!("it is held back") };
        seen.push(since(begun).as_secs());
    }
    assert_eq!(
        [0, 1, 2].map(|second| seen.iter().filter(|at| **at == second).count()),
        [20, 20, 10]
    );
    // One more, right after the last.
    let News::Held(_) = slots.wait("n", "h", Press::Usual, None).news().await else {
        panic!("it is held back")
    };
    assert_eq!(since(begun).as_secs(), 3);
    // And who waits no longer takes the place of nobody.
    sleep(seconds(1)).await;
    let gone: Vec<_> = (0..50).map(|_| slots.wait("n", "h", Press::Usual, None)).collect();
    drop(gone);
    let begun = paused();
    let mut last = slots.wait("n", "h", Press::Usual, None);
    let News::Held(_) = last.news().await else { panic!("it is held back") };
    assert_eq!(since(begun), Duration::ZERO);
}
