//! Whether requests may go where the last ones failed. Reads no clock: times are given, in time since boot.
//!
//! Requests begin one by one and become more with each answer and each second, so that neither a start nor the end of an
//! outage brings all that is due at once. After some failures in a row nothing goes out but one trial at a time, ever more
//! seldom, until one is answered.

mod host;

use std::time::Duration;

pub use self::host::HostBreaker;

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// The wait before the first trial, doubled after each that fails.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LAST_WAIT: Duration = Duration::from_secs(300);
/// A server that asks for a longer wait is asked again after this.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(3600);
/// How long until twice as many requests go out at once, also where none is answered.
const TWICE_AFTER: Duration = Duration::from_secs(1);
/// What happened before this need not be known any more where nobody calls.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// Why a request failed, as far as it tells of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection.
    Unreachable,
    /// A 5xx status, another one with `Retry-After`, which it holds, an error that passes, or no whole answer.
    Failing(Duration),
    /// 429, with what `Retry-After` asks for.
    Limited(Duration),
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer, whatever it says but for what is a failure.
    Answered,
    /// With none, or one that says to come later.
    Failed(Trouble),
    /// The same, for what its caller is configured with. It tells others nothing.
    FailedForCaller(Trouble),
    /// There was none after all, or it tells nothing.
    NotTried,
}

/// Whether a request may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Now,
    /// Not before this.
    NotBefore(Duration),
    /// Not before one that is under way ends.
    AfterAnother,
}

/// What kind of request was let begin; given back when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// One of several.
    Usual,
    /// The one that tries whether the server is back, by its number.
    Trial(u32),
}

/// What those are told that are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How the last request failed.
    pub trouble: Trouble,
    /// When the next trial is made.
    pub next_trial: Duration,
}

/// The breaker of one place.
#[derive(Clone, Debug)]
pub struct Breaker {
    state: State,
    /// From 0 to 1; lengthens the waits by up to a fifth, so that places that failed together are not tried together.
    jitter: f64,
    /// The longest wait before a trial, but for what the server asks for.
    last_wait: Duration,
    /// Trials so far.
    trials: u32,
    /// When a request ended last.
    ended_at: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { since: Duration, answers: u32, failures: u32 },
    Open { held: Held, failed_trials: u32, trying: Option<u32> },
}

impl Breaker {
    /// Closed, and at its beginning.
    pub fn new(jitter: f64, now: Duration) -> Self {
        Self::waiting_at_most(LAST_WAIT, jitter, now)
    }

    /// The same with another longest wait before a trial.
    fn waiting_at_most(last_wait: Duration, jitter: f64, now: Duration) -> Self {
        Self {
            state: State::Closed { since: now, answers: 0, failures: 0 },
            jitter,
            last_wait,
            trials: 0,
            ended_at: now,
        }
    }

    /// Whether a request may begin beside so many.
    pub fn admits(&self, under_way: usize, now: Duration) -> Admission {
        match self.state {
            State::Closed { since, answers, .. } => {
                let steps = u32::try_from(now.saturating_sub(since).as_secs()).unwrap_or(u32::MAX);
                let at_once = answers.saturating_add(1).max(2_u32.saturating_pow(steps));
                if under_way < at_once as usize {
                    return Admission::Now;
                }
                let steps = steps.saturating_add(1);
                Admission::NotBefore(since.saturating_add(TWICE_AFTER.saturating_mul(steps)))
            }
            State::Open { trying: Some(_), .. } => Admission::AfterAnother,
            State::Open { held, .. } if now < held.next_trial => {
                Admission::NotBefore(held.next_trial)
            }
            State::Open { .. } => Admission::Now,
        }
    }

    /// Lets a request begin that is admitted.
    pub fn begin(&mut self) -> Pass {
        match &mut self.state {
            State::Closed { .. } => Pass::Usual,
            State::Open { trying, .. } => {
                self.trials = self.trials.wrapping_add(1);
                *trying = Some(self.trials);
                Pass::Trial(self.trials)
            }
        }
    }

    /// Takes notice of the end of a request. True when it opened just now.
    pub fn end(&mut self, pass: Pass, outcome: Outcome, now: Duration) -> bool {
        self.ended_at = now;
        match outcome {
            Outcome::Answered => self.answered(now),
            Outcome::Failed(trouble) | Outcome::FailedForCaller(trouble) => {
                return self.failed(pass, trouble, now);
            }
            Outcome::NotTried => {
                if let (Pass::Trial(number), State::Open { trying, .. }) = (pass, &mut self.state) {
                    trying.take_if(|trying| *trying == number);
                }
            }
        }
        false
    }

    /// What to tell those that wait; nothing while requests go out.
    pub fn held(&self) -> Option<Held> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { held, .. } => Some(held),
        }
    }

    /// Whether the last request failed that tells of the server.
    pub fn has_failed(&self) -> bool {
        !matches!(self.state, State::Closed { failures: 0, .. })
    }

    /// Whether nothing is lost with it but the pace: it is as a new one, or what it knows is old.
    pub fn is_idle(&self, now: Duration) -> bool {
        let known_at = match self.state {
            State::Closed { failures: 0, .. } => return true,
            State::Closed { .. } => self.ended_at,
            State::Open { held, .. } => self.ended_at.max(held.next_trial),
        };
        now.saturating_sub(known_at) >= FORGOTTEN_AFTER
    }

    fn answered(&mut self, now: Duration) {
        let (since, answers) = match self.state {
            State::Closed { since, answers, .. } => (since, answers),
            State::Open { .. } => (now, 0),
        };
        self.state = State::Closed { since, answers: answers.saturating_add(1), failures: 0 };
    }

    fn failed(&mut self, pass: Pass, trouble: Trouble, now: Duration) -> bool {
        match &mut self.state {
            State::Closed { failures, .. } => {
                *failures = failures.saturating_add(1);
                if *failures < FAILURES {
                    return false;
                }
                self.open(trouble, 0, now);
                true
            }
            State::Open { failed_trials, trying: Some(trying), .. }
                if pass == Pass::Trial(*trying) =>
            {
                let failed_trials = failed_trials.saturating_add(1);
                self.open(trouble, failed_trials, now);
                false
            }
            // It began before the last trial, which knows better.
            State::Open { .. } => false,
        }
    }

    fn open(&mut self, trouble: Trouble, failed_trials: u32, now: Duration) {
        let wait =
            FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failed_trials)).min(self.last_wait);
        let asked_for = match trouble {
            Trouble::Limited(wait) | Trouble::Failing(wait) => wait.min(LONGEST_ASKED_FOR),
            Trouble::Unreachable => Duration::ZERO,
        };
        let wait = wait.max(asked_for);
        let wait = wait.saturating_add((wait / 5).mul_f64(self.jitter.clamp(0.0, 1.0)));
        let held = Held { trouble, next_trial: now.saturating_add(wait) };
        self.state = State::Open { held, failed_trials, trying: None };
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers of seconds")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAILED: Outcome = Outcome::Failed(Trouble::Failing(Duration::ZERO));

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(0.0, seconds(0));
        for _ in 0..FAILURES {
            let pass = breaker.begin();
            breaker.end(pass, FAILED, seconds(0));
        }
        breaker
    }

    #[test]
    fn it_opens_after_five_failures_in_a_row_and_no_others() {
        let mut breaker = Breaker::new(0.0, seconds(0));
        let four = [FAILED; 4];
        for outcome in four.into_iter().chain([Outcome::Answered, FAILED, FAILED, FAILED]) {
            let pass = breaker.begin();
            assert!(!breaker.end(pass, outcome, seconds(0)));
        }
        assert!(!breaker.end(Pass::Usual, Outcome::NotTried, seconds(0)));
        assert!(!breaker.end(Pass::Usual, FAILED, seconds(0)));
        assert_eq!(breaker.held(), None);
        let trouble = Trouble::Unreachable;
        assert!(breaker.end(Pass::Usual, Outcome::Failed(trouble), seconds(7)));
        assert_eq!(breaker.held(), Some(Held { trouble, next_trial: seconds(12) }));
    }

    #[test]
    fn trials_come_ever_more_seldom() {
        let mut breaker = opened();
        let mut now = seconds(0);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let Admission::NotBefore(next) = breaker.admits(0, now) else { panic!("it is open") };
            waits.push(next.saturating_sub(now).as_secs());
            now = next;
            assert_eq!(breaker.admits(0, now), Admission::Now);
            let trial = breaker.begin();
            assert_eq!(breaker.admits(1, now), Admission::AfterAnother);
            breaker.end(Pass::Usual, FAILED, now);
            assert_eq!(breaker.admits(1, now), Admission::AfterAnother, "one that began before");
            breaker.end(trial, FAILED, now);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn a_trial_that_was_not_sent_leaves_its_turn_to_the_next() {
        let mut breaker = opened();
        let trial = breaker.begin();
        breaker.end(trial, Outcome::NotTried, seconds(6));
        assert_eq!(breaker.admits(0, seconds(6)), Admission::Now);
    }

    #[test]
    fn requests_become_more_with_each_answer() {
        let mut breaker = opened();
        let trial = breaker.begin();
        breaker.end(trial, Outcome::Answered, seconds(5));
        let mut rounds = Vec::new();
        for _ in 0..5 {
            let at_once = (0..).take_while(|n| breaker.admits(*n, seconds(5)) == Admission::Now);
            let at_once = at_once.count();
            rounds.push(at_once);
            for _ in 0..at_once {
                breaker.end(Pass::Usual, Outcome::Answered, seconds(5));
            }
        }
        assert_eq!(rounds, [2, 4, 8, 16, 32]);
    }

    #[test]
    fn requests_become_more_with_time_where_answers_are_slow() {
        let breaker = Breaker::new(0.0, seconds(100));
        let at_once =
            |now| (0..999).take_while(|n| breaker.admits(*n, now) == Admission::Now).count();
        assert_eq!([100, 101, 102, 105].map(|now| at_once(seconds(now))), [1, 2, 4, 32]);
        assert_eq!(breaker.admits(4, seconds(102)), Admission::NotBefore(seconds(103)));
        assert_eq!(at_once(seconds(1_000_000)), 999);
    }

    #[test]
    fn what_it_knows_is_forgotten_an_hour_after_its_last_use() {
        let mut breaker = Breaker::new(0.0, seconds(0));
        assert!(breaker.is_idle(seconds(0)));
        breaker.end(Pass::Usual, FAILED, seconds(10));
        assert!(!breaker.is_idle(seconds(3609)) && breaker.is_idle(seconds(3610)));
        let opened = opened();
        assert!(!opened.is_idle(seconds(3604)) && opened.is_idle(seconds(3605)));
    }

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            Just(Outcome::Answered),
            Just(FAILED),
            Just(Outcome::Failed(Trouble::Unreachable)),
            Just(Outcome::FailedForCaller(Trouble::Unreachable)),
            Just(Outcome::NotTried),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: while it is open there is never more than one trial, none comes sooner than
        /// after the least wait, none is put off for longer than the greatest, and one answer closes it.
        #[test]
        fn one_trial_at_a_time_and_never_for_good(
            jitter in 0.0..1.0,
            steps in prop::collection::vec((outcomes(), 0_u64..400, 0_usize..4), 1..200),
        ) {
            let mut breaker = Breaker::new(jitter, Duration::ZERO);
            let mut now = Duration::ZERO;
            let mut under_way: Vec<Pass> = Vec::new();
            // While it is open.
            let mut trial: Option<Pass> = None;
            for (outcome, pause, which) in steps {
                now += Duration::from_secs(pause);
                if breaker.admits(under_way.len(), now) == Admission::Now {
                    let pass = breaker.begin();
                    under_way.push(pass);
                    prop_assert!(trial.is_none());
                    trial = breaker.held().map(|_| pass);
                }
                if which < under_way.len() {
                    let pass = under_way.swap_remove(which);
                    let opened = breaker.end(pass, outcome, now);
                    let held = breaker.held();
                    trial.take_if(|trial| *trial == pass || held.is_none() || opened);
                    prop_assert!(outcome != Outcome::Answered || held.is_none());
                    prop_assert!(!opened || held.is_some_and(|held| held.next_trial >= now + FIRST_WAIT));
                }
                if let Some(held) = breaker.held() {
                    prop_assert!(held.next_trial <= now + LAST_WAIT + LAST_WAIT / 5);
                    prop_assert!(trial.is_some() || breaker.admits(0, held.next_trial) == Admission::Now);
                }
            }
        }
    }
}
