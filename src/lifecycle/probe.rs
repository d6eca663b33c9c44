//! Whether a protected resource takes the token, and what follows from that.

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use crate::api::Reason;

use super::record::Record;
use super::schedule::{fraction, plus};

/// After a look that could not be made, for want of the source or the provider as it may be right after a start.
const NEXT_TRY: Duration = Duration::from_secs(60);

/// What the user wants to be looked at.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The protected resource.
    pub url: Url,
    /// How often; nothing for once in each process.
    pub interval: Option<Duration>,
    /// Statuses that mean that the token is refused.
    pub rejected: Vec<u16>,
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token was taken.
    Accepted,
    /// It was refused, with that status.
    Rejected(u16),
    /// It says nothing about the token; the text says why.
    Inconclusive(Unclear, String),
}

/// Why a look says nothing. The words differ more often, and are kept while it is for the same reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// The resource was not asked.
    NotAsked,
    /// There was no connection.
    NotReached,
    /// There was no whole answer.
    NotAnswered,
    /// There was one, with a status of that hundred.
    Answered(u16),
}

/// The last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Which token set.
    pub revision: i64,
    /// When.
    pub at: Timestamp,
    /// What it came to.
    pub verdict: Verdict,
    /// How many token sets in a row were refused.
    pub refused: u32,
}

impl Probe {
    /// What an answer means.
    pub fn judge(&self, status: u16) -> Verdict {
        match status {
            status if self.rejected.contains(&status) => Verdict::Rejected(status),
            200..=299 => Verdict::Accepted,
            status => {
                let kind = Unclear::Answered(status / 100);
                Verdict::Inconclusive(kind, format!("it answered {status}"))
            }
        }
    }

    /// When the token is to be looked at by a process that last brought this token set, if any. At intervals that are
    /// shorter by up to a tenth, by the UID, so that those that were looked at together are not for ever.
    pub fn due(
        &self,
        record: &Record,
        probed: Option<&Probed>,
        brought: Option<i64>,
        uid: &str,
    ) -> Option<Timestamp> {
        if let Some(last) = probed.filter(|last| last.could_not_ask(record.revision)) {
            return Some(plus(last.at, self.interval.unwrap_or(NEXT_TRY).min(NEXT_TRY)));
        }
        let was_found = brought != Some(record.revision);
        let last = probed.map(|probed| probed.at);
        match (self.interval, last) {
            (_, None) if was_found => Some(record.issued_at),
            (None, _) => None,
            (Some(interval), last) => {
                let jitter = Duration::from_secs((interval / 10).mul_f64(fraction(uid)).as_secs());
                let from = record.issued_at.max(last.unwrap_or(record.issued_at));
                Some(plus(from, interval.saturating_sub(jitter)))
            }
        }
    }
}

impl Verdict {
    /// As it was said the last time, where it says nothing for the same reason: each change of words is a write.
    fn in_the_words_of(self, last: Option<&Probed>) -> Self {
        match (&self, last.map(|last| &last.verdict)) {
            (Self::Inconclusive(now, _), Some(said @ Self::Inconclusive(before, _)))
                if now == before =>
            {
                said.clone()
            }
            _ => self,
        }
    }
}

impl Probed {
    /// A look at that token set, after another.
    pub fn after(last: Option<&Self>, revision: i64, at: Timestamp, verdict: Verdict) -> Self {
        let before = last.map_or(0, |last| last.refused);
        let again = last.is_some_and(|last| {
            last.revision == revision && matches!(last.verdict, Verdict::Rejected(_))
        });
        let refused = match &verdict {
            Verdict::Accepted => 0,
            Verdict::Rejected(_) if again => before,
            Verdict::Rejected(_) => before.saturating_add(1),
            Verdict::Inconclusive(..) => before,
        };
        let verdict = verdict.in_the_words_of(last.filter(|last| last.revision == revision));
        Self { revision, at, verdict, refused }
    }

    /// Whether the resource was not asked about this token set.
    fn could_not_ask(&self, revision: i64) -> bool {
        self.revision == revision
            && matches!(self.verdict, Verdict::Inconclusive(Unclear::NotAsked, _))
    }

    /// Whether this token set shall be renewed for it: it was refused, and the one before was not.
    pub fn asks_for_another(&self, revision: i64) -> bool {
        self.revision == revision
            && self.refused == 1
            && matches!(self.verdict, Verdict::Rejected(_))
    }

    /// The status, reason and message of the condition.
    pub fn condition(&self) -> (&'static str, Reason, String) {
        match &self.verdict {
            Verdict::Accepted => {
                ("True", Reason::ProbeAccepted, "the protected resource took the token".to_owned())
            }
            Verdict::Rejected(status) => (
                "False",
                Reason::ProbeRejected,
                format!("the protected resource refused the token with {status}"),
            ),
            Verdict::Inconclusive(_, why) => (
                "Unknown",
                Reason::ProbeInconclusive,
                format!("the protected resource says nothing about the token: {why}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A UID whose fraction is next to nothing.
    const LEAST: &str = "6k1";

    fn record(issued_at: i64) -> Record {
        Record {
            revision: 1,
            issued_at: at(issued_at),
            expires_at: None,
            request: String::new(),
            source_version: String::new(),
            scopes: Vec::new(),
            lineage: None,
            rotations: 0,
            rotated_at: None,
            refresh_life: None,
            fields: Vec::new(),
        }
    }

    fn probe(interval: Option<u64>) -> Probe {
        Probe {
            url: Url::parse("https://api.example/me").unwrap(),
            interval: interval.map(Duration::from_secs),
            rejected: vec![401],
        }
    }

    #[test]
    fn a_token_that_was_found_is_looked_at_once_and_others_at_intervals() {
        let looked = Probed::after(None, 1, at(120), Verdict::Accepted);
        let (found, brought) = (None, Some(1));
        let due = |interval, issued_at, probed, brought| {
            probe(interval).due(&record(issued_at), probed, brought, LEAST)
        };
        assert_eq!(due(None, 50, None, found), Some(at(50)));
        assert_eq!(due(None, 50, None, Some(0)), Some(at(50)));
        assert_eq!(due(None, 50, Some(&looked), found), None);
        assert_eq!(due(None, 150, None, brought), None);
        assert_eq!(due(Some(60), 50, None, found), Some(at(50)));
        assert_eq!(due(Some(60), 50, Some(&looked), found), Some(at(180)));
        assert_eq!(due(Some(60), 150, Some(&looked), brought), Some(at(210)));
    }

    #[test]
    fn a_look_that_could_not_be_made_is_made_up_for() {
        let unclear = |kind| Verdict::Inconclusive(kind, "no source".to_owned());
        let not_asked =
            |revision| Probed::after(None, revision, at(120), unclear(Unclear::NotAsked));
        let due =
            |interval, probed: &Probed| probe(interval).due(&record(50), Some(probed), None, LEAST);
        assert_eq!(due(None, &not_asked(1)), Some(at(180)));
        assert_eq!(due(Some(3600), &not_asked(1)), Some(at(180)));
        assert_eq!(due(Some(10), &not_asked(1)), Some(at(130)));
        assert_eq!(due(None, &not_asked(0)), None, "that was another token");
        assert_eq!(due(None, &Probed::after(None, 1, at(120), unclear(Unclear::NotReached))), None);
    }

    #[test]
    fn those_that_were_looked_at_together_are_not_again() {
        let looked = Probed::after(None, 1, at(1000), Verdict::Accepted);
        let mut times: Vec<_> = (0..100)
            .map(|uid| {
                let due = |interval| {
                    let uid = uid.to_string();
                    probe(Some(interval)).due(&record(0), Some(&looked), None, &uid)
                };
                assert_eq!(due(3600), due(3600), "it is always the same");
                due(3600).unwrap().as_second() - 1000
            })
            .collect();
        assert!(times.iter().all(|time| (3240..=3600).contains(time)), "{times:?}");
        times.sort_unstable();
        times.dedup();
        assert!(times.len() > 40, "{times:?}");
    }

    #[test]
    fn a_look_that_says_nothing_is_put_in_the_same_words_while_its_reason_is_the_same() {
        let unclear = |kind, why: &str| Verdict::Inconclusive(kind, why.to_owned());
        let mut last = Probed::after(None, 1, at(0), unclear(Unclear::NotReached, "refused"));
        let mut says = |revision, verdict| {
            last = Probed::after(Some(&last), revision, at(0), verdict);
            last.condition().2.rsplit(": ").next().unwrap_or_default().to_owned()
        };
        assert_eq!(says(1, unclear(Unclear::NotReached, "reset")), "refused");
        assert_eq!(says(1, unclear(Unclear::Answered(5), "502")), "502");
        assert_eq!(says(1, unclear(Unclear::Answered(5), "503")), "502");
        assert_eq!(says(1, unclear(Unclear::Answered(4), "404")), "404");
        assert_eq!(says(2, unclear(Unclear::Answered(4), "429")), "429", "of another token");
    }

    #[test]
    fn only_the_statuses_given_and_success_are_verdicts() {
        let probe = probe(None);
        assert_eq!(probe.judge(401), Verdict::Rejected(401));
        assert_eq!(probe.judge(204), Verdict::Accepted);
        for other in [100, 301, 400, 403, 404, 429, 500, 503] {
            assert!(matches!(probe.judge(other), Verdict::Inconclusive(..)), "{other}");
        }
    }

    #[test]
    fn of_tokens_that_are_refused_in_a_row_one_is_renewed() {
        let refused = |last: Option<&Probed>, revision| {
            Probed::after(last, revision, at(0), Verdict::Rejected(401))
        };
        let first = refused(None, 1);
        assert!(first.asks_for_another(1) && !first.asks_for_another(2));
        let second = refused(Some(&first), 2);
        assert!(!second.asks_for_another(2), "the new one is refused as well");
        let unclear = Probed::after(Some(&second), 2, at(0), probe(None).judge(503));
        assert!(!refused(Some(&unclear), 3).asks_for_another(3));
        let taken = Probed::after(Some(&second), 3, at(0), Verdict::Accepted);
        assert!(refused(Some(&taken), 3).asks_for_another(3));
    }
}
