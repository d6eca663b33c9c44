//! Namespaces whose servers take long to answer.

use super::*;

/// How long their servers take.
const ANSWER: Duration = Duration::from_secs(119);

/// Requests without end in so many namespaces, each to a host of its own.
fn flood(slots: &Slots, namespaces: usize) -> JoinSet<()> {
    let mut flood = JoinSet::new();
    for at in 0..FLOOD {
        let (slots, namespace, host) =
            (slots.clone(), format!("noisy{}", at % namespaces), format!("h{at}"));
        flood.spawn(
            async move { request(&slots, &namespace, &host, ANSWER, Outcome::Answered).await },
        );
    }
    flood
}

/// As many requests as may begin at once, each to a host of its own.
fn begun(slots: &Slots, namespace: &str) -> Vec<Slot> {
    (0..99).map_while(|at| take(slots, namespace, &format!("{namespace}{at}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn slow_servers_of_several_namespaces_delay_no_other_namespace() {
    for namespaces in [2, 40] {
        let slots = slots(32);
        let flood = flood(&slots, namespaces);
        // Until two answers of each came, and a little longer.
        sleep(ANSWER * (2 * namespaces).div_ceil(32).try_into().unwrap() + seconds(1)).await;
        let longest = longest_wait(&slots, flood, "h").await;
        assert!(longest < seconds(5), "{longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_namespaces_have_half_of_the_slots_together_for_a_while() {
    let slots = slots(32);
    for namespace in ["a", "b", "a", "b"] {
        request(&slots, namespace, "h", seconds(16), Outcome::Answered).await;
    }
    let (of_a, of_b) = (begun(&slots, "a"), begun(&slots, "b"));
    assert_eq!((of_a.len(), of_b.len()), (16, 0));
    assert_eq!(begun(&slots, "quick").len(), 16);
    // They take turns for it.
    let [mut first, mut second] = ["a", "b"].map(|name| slots.wait(name, "h", Press::Usual, None));
    drop(of_a.into_iter().take(2).collect::<Vec<_>>());
    assert!(first.turn.try_recv().is_ok() && second.turn.try_recv().is_ok());
    sleep(seconds(601)).await;
    assert_eq!(begun(&slots, "a").len(), 24);
}

#[tokio::test(start_paused = true)]
async fn what_takes_long_on_this_side_makes_no_namespace_slow_nor_do_few_answers() {
    let slots = slots(32);
    for _ in 0..9 {
        let mut slot = take(&slots, "n", "h").unwrap();
        sleep(ANSWER).await;
        slot.saw(&Ok(answer(200, Ending::Whole)), seconds(14));
    }
    for pause in [0, 600] {
        sleep(seconds(pause)).await;
        request(&slots, "n", "h", seconds(16), Outcome::Answered).await;
    }
    assert_eq!(begun(&slots, "n").len(), 24);
    request(&slots, "n", "h", seconds(16), Outcome::Answered).await;
    assert_eq!(begun(&slots, "n").len(), 16);
}
