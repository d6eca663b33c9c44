//! The breaker of a host, for all that call it. One caller alone never opens it: it takes failures of several in a row, with
//! no answer to anybody in between.

use std::time::Duration;

use super::{Admission, Breaker, Held, Outcome, Pass, Trouble};

/// The longest wait before a trial: those whom it holds up may have nothing to do with what failed. One request at a time is
/// no burden, however soon it comes.
const LAST_WAIT: Duration = Duration::from_secs(20);

/// The breaker of one host. Callers are told apart by a `K`.
#[derive(Clone, Debug)]
pub struct HostBreaker<K> {
    breaker: Breaker,
    /// Whose requests failed since the last answer, each once. So few that they are searched one by one.
    failed: Vec<K>,
}

impl<K: Clone + PartialEq> HostBreaker<K> {
    /// Closed, and at its beginning.
    pub fn new(jitter: f64, now: Duration) -> Self {
        Self { breaker: Breaker::waiting_at_most(LAST_WAIT, jitter, now), failed: Vec::new() }
    }

    /// Whether a request may begin beside so many.
    pub fn admits(&self, under_way: usize, now: Duration) -> Admission {
        self.breaker.admits(under_way, now)
    }

    /// Lets a request begin that is admitted.
    pub fn begin(&mut self) -> Pass {
        self.breaker.begin()
    }

    /// Takes notice of the end of somebody's request. True when it opened just now.
    pub fn end(&mut self, who: &K, pass: Pass, outcome: Outcome, now: Duration) -> bool {
        let outcome = of_all(outcome);
        match outcome {
            Outcome::Answered => self.failed.clear(),
            Outcome::Failed(_) if self.breaker.held().is_none() => {
                if self.failed.contains(who) {
                    return false;
                }
                self.failed.push(who.clone());
            }
            Outcome::Failed(_) | Outcome::FailedForCaller(_) | Outcome::NotTried => {}
        }
        let opened = self.breaker.end(pass, outcome, now);
        if opened {
            self.failed.clear();
        }
        opened
    }

    /// What to tell those that wait; nothing while requests go out.
    pub fn held(&self) -> Option<Held> {
        self.breaker.held()
    }

    /// Whether nothing is lost with it but the pace.
    pub fn is_idle(&self, now: Duration) -> bool {
        self.breaker.is_idle(now)
    }
}

/// What the outcome of one tells of all. Neither is a longer wait asked of all that the server asks one caller for, nor
/// does it fail all where one is configured with something that fails.
fn of_all(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::FailedForCaller(_) => Outcome::NotTried,
        Outcome::Failed(Trouble::Limited(wait)) => {
            Outcome::Failed(Trouble::Limited(wait.min(LAST_WAIT)))
        }
        Outcome::Failed(Trouble::Failing(wait)) => {
            Outcome::Failed(Trouble::Failing(wait.min(LAST_WAIT)))
        }
        outcome => outcome,
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers of seconds")]
mod tests {
    use proptest::prelude::*;

    use super::super::{FAILURES, FIRST_WAIT};
    use super::*;

    const FAILED: Outcome = Outcome::Failed(Trouble::Failing(Duration::ZERO));

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Whether it opens with these, in order.
    fn opens(ends: &[(u32, Outcome)]) -> bool {
        let mut breaker = HostBreaker::new(0.0, seconds(0));
        ends.iter().any(|(who, outcome)| breaker.end(who, Pass::Usual, *outcome, seconds(0)))
    }

    #[test]
    fn it_opens_after_failures_of_five_and_not_of_one_or_four() {
        let failures = |of: &[u32]| of.iter().map(|who| (*who, FAILED)).collect::<Vec<_>>();
        assert!(opens(&failures(&[1, 2, 3, 4, 5])));
        assert!(opens(&failures(&[1, 1, 1, 2, 3, 2, 4, 1, 5])));
        assert!(!opens(&failures(&[1; 1000])));
        assert!(!opens(&failures(&[1, 2, 3, 4].repeat(1000))));
    }

    #[test]
    fn an_answer_to_anybody_begins_the_row_anew() {
        let answered = (9, Outcome::Answered);
        let of = |who| (who, FAILED);
        assert!(!opens(&[of(1), of(2), of(3), of(4), answered, of(5), of(1), of(2), of(3)]));
        assert!(opens(&[of(1), of(2), of(3), of(4), (9, Outcome::NotTried), of(5)]));
    }

    #[test]
    fn what_fails_for_what_its_caller_is_configured_with_holds_up_nobody_else() {
        let own = Outcome::FailedForCaller(Trouble::Unreachable);
        let of = |who| (who, FAILED);
        assert!(!opens(&(0..1000).map(|who| (who, own)).collect::<Vec<_>>()));
        assert!(!opens(&[of(1), of(2), of(3), of(4), (5, own)]));
        assert!(opens(&[of(1), of(2), of(3), of(4), (5, own), of(6)]), "nor is it an answer");
        // And the next may try at once where that was the trial.
        let mut breaker = HostBreaker::new(0.0, seconds(0));
        for who in 1..=5 {
            breaker.end(&who, Pass::Usual, FAILED, seconds(0));
        }
        let trial = breaker.begin();
        breaker.end(&6, trial, own, seconds(5));
        assert_eq!(breaker.admits(0, seconds(5)), Admission::Now);
    }

    #[test]
    fn a_wait_that_was_asked_of_one_is_not_asked_of_all() {
        let mut breaker = HostBreaker::new(0.0, seconds(0));
        let outcome = Outcome::Failed(Trouble::Limited(seconds(3600)));
        for who in 1..=5 {
            breaker.end(&who, Pass::Usual, outcome, seconds(0));
        }
        assert_eq!(breaker.held().map(|held| held.next_trial), Some(LAST_WAIT));
    }

    #[test]
    fn one_tries_and_its_answer_lets_all_go_on_little_by_little() {
        let mut breaker = HostBreaker::new(0.0, seconds(0));
        for who in 1..=5 {
            breaker.end(&who, Pass::Usual, FAILED, seconds(0));
        }
        assert_eq!(breaker.admits(0, seconds(0)), Admission::NotBefore(seconds(5)));
        let trial = breaker.begin();
        assert_eq!(breaker.admits(1, seconds(5)), Admission::AfterAnother);
        breaker.end(&6, trial, FAILED, seconds(5));
        assert_eq!(breaker.admits(0, seconds(5)), Admission::NotBefore(seconds(15)));
        let trial = breaker.begin();
        breaker.end(&7, trial, Outcome::Answered, seconds(15));
        let at_once = (0..99).take_while(|n| breaker.admits(*n, seconds(15)) == Admission::Now);
        assert_eq!(at_once.count(), 2);
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            1 => Just(Outcome::Answered),
            6 => Just(FAILED),
            1 => Just(Outcome::NotTried),
            1 => Just(Outcome::FailedForCaller(Trouble::Unreachable)),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: it opens just when five different callers failed since the last answer, one
        /// answer closes it, no trial is put off for good, and it remembers no more than five callers.
        #[test]
        fn it_opens_by_failures_of_five_since_the_last_answer(
            steps in prop::collection::vec((0_u8..8, outcomes(), 0_u64..100), 1..300),
        ) {
            let mut breaker = HostBreaker::new(0.5, Duration::ZERO);
            let (mut now, mut row) = (Duration::ZERO, std::collections::BTreeSet::new());
            for (who, outcome, pause) in steps {
                now += seconds(pause);
                let was_open = breaker.held().is_some();
                let pass = match breaker.admits(0, now) {
                    Admission::Now => breaker.begin(),
                    // In a hurry.
                    _ => Pass::Usual,
                };
                let opened = breaker.end(&who, pass, outcome, now);
                match outcome {
                    Outcome::Answered => row.clear(),
                    Outcome::Failed(_) if !was_open => drop(row.insert(who)),
                    _ => {}
                }
                prop_assert_eq!(opened, row.len() >= FAILURES as usize);
                prop_assert!(!opened || breaker.held().is_some_and(|held| held.next_trial >= now + FIRST_WAIT));
                if opened {
                    row.clear();
                }
                prop_assert!(outcome != Outcome::Answered || breaker.held().is_none());
                prop_assert!(breaker.failed.len() < FAILURES as usize);
                if let Some(held) = breaker.held() {
                    prop_assert!(held.next_trial <= now + LAST_WAIT + LAST_WAIT / 5);
                    prop_assert_eq!(breaker.admits(0, held.next_trial), Admission::Now);
                }
            }
        }
    }
}
