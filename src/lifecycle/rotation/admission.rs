//! Whether a state may be used at all: it belongs here, it is not older than the target, and its tokens are for this
//! endpoint. Nothing is sent on doubt.

use jiff::Timestamp;

use crate::api::{ADOPT_STATE, ALLOWED_ENDPOINTS, Reason};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{Owners, Record, StateRecord};

use super::choice::Seed;

/// What a state is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Name of the credential.
    pub credential: &'a str,
    /// Name of the source Secret.
    pub source: &'a str,
    /// Where the credential is.
    pub here: &'a Owners,
    /// UID of the state Secret.
    pub state_uid: &'a str,
    /// The state that the user adopted, by UID.
    pub adopted: Option<&'a str>,
    /// Origin of the token endpoint.
    pub endpoint: &'a str,
    /// Other origins that the source allows.
    pub allowed_endpoints: &'a str,
    /// The record in the target.
    pub target: Option<&'a Record>,
    /// When the user asked for one more try.
    pub asked_at: Option<Timestamp>,
}

/// Judges a state.
///
/// # Errors
/// `StateNotAdopted`, `EndpointChanged`, `StateOutdated`.
pub fn admit(
    record: &StateRecord,
    seed: Seed,
    circumstances: &Circumstances<'_>,
) -> Result<(), Problem> {
    endpoint_is_allowed(record, circumstances)?;
    // A new seed is newer than any state.
    if seed == Seed::New {
        return Ok(());
    }
    belongs_here(record, circumstances)?;
    is_up_to_date(record, circumstances)
}

fn belongs_here(record: &StateRecord, at: &Circumstances<'_>) -> Result<(), Problem> {
    if record.owners.are_at_home(at.here) || at.adopted == Some(at.state_uid) {
        return Ok(());
    }
    let message = format!(
        "the state Secret was copied here from another cluster or namespace, where its refresh token may still be in use; \
         to take it over: kubectl annotate oauthcredential {} {ADOPT_STATE}={}",
        at.credential, at.state_uid
    );
    Err(Problem::new(Reason::StateNotAdopted, message))
}

fn endpoint_is_allowed(record: &StateRecord, at: &Circumstances<'_>) -> Result<(), Problem> {
    let mut allowed = at.allowed_endpoints.split_ascii_whitespace();
    if record.endpoint == at.endpoint || allowed.any(|origin| origin == at.endpoint) {
        return Ok(());
    }
    let message = format!(
        "the endpoint for refresh tokens is at {}, but the refresh token was first sent to {}; \
         to allow it: kubectl annotate secret {} {ALLOWED_ENDPOINTS}={}",
        at.endpoint, record.endpoint, at.source, at.endpoint
    );
    Err(Problem::new(Reason::EndpointChanged, message))
}

fn is_up_to_date(record: &StateRecord, at: &Circumstances<'_>) -> Result<(), Problem> {
    if at.target.is_some_and(|target| is_outdated(record.generation, target, at.asked_at)) {
        Err(outdated())
    } else {
        Ok(())
    }
}

/// Whether a state of this generation is older than what the target tells of.
pub fn is_outdated(generation: i64, target: &Record, asked_at: Option<Timestamp>) -> bool {
    target.rotations > 0
        && target.revision > generation
        && asked_at.is_none_or(|asked_at| asked_at <= target.issued_at)
}

/// The problem with a state that was set back.
pub fn outdated() -> Problem {
    let message = "the state Secret is older than the target: its refresh token was replaced since";
    Problem::new(Reason::StateOutdated, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::rotation::commit::tests::first_record;

    fn owners(cluster: Option<&str>, namespace: &str) -> Owners {
        Owners { cluster: cluster.map(ToOwned::to_owned), namespace: namespace.into() }
    }

    fn judged(
        record: &StateRecord,
        here: &Owners,
        change: impl Fn(&mut Circumstances<'_>),
    ) -> Option<Reason> {
        let mut circumstances = Circumstances {
            credential: "c",
            source: "s",
            here,
            state_uid: "uid",
            adopted: None,
            endpoint: "https://as.example",
            allowed_endpoints: "",
            target: None,
            asked_at: None,
        };
        change(&mut circumstances);
        admit(record, Seed::Current, &circumstances).err().map(|problem| problem.reason)
    }

    fn record() -> StateRecord {
        StateRecord {
            endpoint: "https://as.example".into(),
            owners: owners(Some("k"), "n"),
            ..first_record()
        }
    }

    #[test]
    fn a_state_is_at_home_in_its_namespace_and_in_its_cluster() {
        for here in [owners(Some("k"), "n"), owners(None, "n"), owners(Some("k"), "restored")] {
            assert_eq!(judged(&record(), &here, |_| {}), None, "{here:?}");
        }
        for here in [owners(Some("other"), "m"), owners(None, "m")] {
            assert_eq!(judged(&record(), &here, |_| {}), Some(Reason::StateNotAdopted), "{here:?}");
            assert_eq!(judged(&record(), &here, |at| at.adopted = Some("uid")), None);
            let wrong = judged(&record(), &here, |at| at.adopted = Some("another"));
            assert_eq!(wrong, Some(Reason::StateNotAdopted));
        }
    }

    #[test]
    fn a_token_goes_to_another_origin_only_where_its_source_allows_it() {
        let here = owners(Some("k"), "n");
        let moved = |allowed: &'static str| {
            judged(&record(), &here, |at| {
                at.endpoint = "https://evil.example";
                at.allowed_endpoints = allowed;
            })
        };
        assert_eq!(moved(""), Some(Reason::EndpointChanged));
        assert_eq!(moved("https://evil.example.com"), Some(Reason::EndpointChanged));
        assert_eq!(moved("https://a.example https://evil.example"), None);
    }

    #[test]
    fn a_state_older_than_its_target_is_not_used_unless_asked_for() {
        let here = owners(Some("k"), "n");
        let mut newer = record().header();
        newer.revision = 9;
        newer.rotations = 3;
        let judged = |seed, asked_at: Option<i64>| {
            let circumstances = Circumstances {
                credential: "c",
                source: "s",
                here: &here,
                state_uid: "uid",
                adopted: None,
                endpoint: "https://as.example",
                allowed_endpoints: "",
                target: Some(&newer),
                asked_at: asked_at.map(|second| Timestamp::from_second(second).unwrap()),
            };
            admit(&record(), seed, &circumstances).err().map(|problem| problem.reason)
        };
        assert_eq!(judged(Seed::Current, None), Some(Reason::StateOutdated));
        assert_eq!(judged(Seed::Current, Some(5)), None);
        assert_eq!(judged(Seed::New, None), None);
    }
}
