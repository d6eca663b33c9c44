//! Failures: what went wrong, and when it is tried again.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::Reason;
use crate::api::condition::{Class, READY};
use crate::api::credential::{FailureStatus, OAuthCredentialStatus};
use crate::oauth::error::TokenError;
use crate::oauth::response::{Lifetime, MAX_LIFETIME_SECONDS, ResponseStyle, TokenSet, Unit};

use super::problem::{Problem, explain};
use super::resolve::GrantKind;
use super::rotation::hold::Unresolved;
use super::schedule::{back_off, bounded_retry_after, plus, to_second};

/// The authorization server is asked once more after this before `invalid_grant` is believed.
const CONFIRM_AFTER: Duration = Duration::from_secs(60);
/// Refusals of client or request are tried again this often, since their cause may be mended on the server's side.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// What it means that nobody knows whether a refresh token was spent.
pub fn of_unknown_outcome(error: &TokenError) -> Problem {
    Problem::new(Reason::ExchangeOutcomeUnknown, error.why())
}

/// What a token error means for a credential.
pub fn of_token_error(error: &TokenError, grant: GrantKind) -> Problem {
    let reason = match error {
        TokenError::Denied(_) => Reason::EndpointDenied,
        TokenError::Unreachable(..) | TokenError::NotSent(_) => Reason::EndpointUnreachable,
        TokenError::OutcomeUnknown(..) => Reason::ExchangeOutcomeUnknown,
        TokenError::Invalid(_) => Reason::ResponseInvalid,
        TokenError::InvalidGrant(_) if grant.spends() => Reason::RefreshTokenRejected,
        // Nobody says of a bare refusal that it was not the password, and servers lock accounts.
        TokenError::InvalidGrant(_) | TokenError::Refused { .. }
            if grant == GrantKind::Password =>
        {
            Reason::PasswordRejected
        }
        TokenError::InvalidClient(_) | TokenError::Refused { unauthorized: true, .. } => {
            Reason::ClientRejected
        }
        TokenError::InvalidGrant(_)
        | TokenError::InvalidRequest(_)
        | TokenError::Refused { unauthorized: false, .. } => Reason::RequestRejected,
        TokenError::RateLimited { .. } => Reason::RateLimited,
        TokenError::Server { .. } => Reason::ServerError,
    };
    Problem { reason, message: error.why(), retry_after: error.retry_after() }
}

/// The problem with a token set whose life nobody knows.
pub fn unknown_lifetime(set: &TokenSet, style: &ResponseStyle) -> Problem {
    let counted = match style.lifetime_unit {
        Unit::Seconds => "seconds",
        Unit::Milliseconds => "milliseconds",
    };
    let message = match &set.lifetime {
        Lifetime::Unusable(value) => format!(
            "{} of the token response is {value}; it must be a whole number of {counted} that makes 1 to {MAX_LIFETIME_SECONDS} seconds",
            style.lifetime_name()
        ),
        Lifetime::Missing | Lifetime::Seconds(_) | Lifetime::Until(_) => {
            "the token response does not say how long the token lives".to_owned()
        }
    };
    Problem::new(Reason::LifetimeUnknown, message)
}

/// The failure that tries of a refresh token make whose outcome nobody knows. It stands in the state, so that it need not
/// be remembered.
pub fn unresolved(
    tries: Unresolved,
    why: Option<&str>,
    next_try: Option<Timestamp>,
    generation: i64,
    source_version: Option<&str>,
) -> Failure {
    let times = if tries.tries == 1 { "once".to_owned() } else { format!("{} times", tries.tries) };
    let next = next_try.map_or_else(
        || "it is being sent again".to_owned(),
        |time| format!("it is sent again at {}", to_second(time)),
    );
    let message = format!(
        "{}: the refresh token was sent {times} since {}, and nobody knows whether the authorization server replaced it; {next}",
        why.unwrap_or("the exchange was cut off"),
        to_second(tries.first_at)
    );
    Failure {
        reason: Reason::ExchangeOutcomeUnknown,
        message,
        attempts: i64::from(tries.tries),
        since: to_second(tries.first_at),
        last_attempt: to_second(tries.last_at),
        next_attempt: next_try.map(to_second),
        generation,
        source_version: source_version.map(ToOwned::to_owned),
        provider_version: None,
    }
}

/// A problem with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
    /// How often in a row.
    pub attempts: i64,
    /// Since when.
    pub since: Timestamp,
    /// When it was last seen.
    pub last_attempt: Timestamp,
    /// When it is tried again; never by itself when absent.
    pub next_attempt: Option<Timestamp>,
    /// The generation that failed.
    pub generation: i64,
    /// The source that failed.
    pub source_version: Option<String>,
    /// The provider that failed, where it is no part of the credential.
    pub provider_version: Option<String>,
}

/// What a failure happened to.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// UID of the credential.
    pub uid: &'a str,
    /// Its generation.
    pub generation: i64,
    /// `resourceVersion` of the source.
    pub source_version: Option<&'a str>,
    /// [`super::provider::Provider::version`].
    pub provider_version: Option<&'a str>,
    /// When the attempt ended.
    pub at: Timestamp,
}

impl Failure {
    /// Adds a problem to what failed before.
    pub fn after(previous: Option<&Self>, problem: &Problem, attempt: &Attempt<'_>) -> Self {
        let previous = previous.filter(|previous| {
            previous.is_about(attempt.generation, attempt.source_version, attempt.provider_version)
        });
        let attempts = previous.map_or(1, |previous| previous.attempts.saturating_add(1));
        let confirmed = problem.reason == Reason::RefreshTokenRejected
            && previous.is_some_and(|previous| previous.reason == Reason::RefreshTokenRejected);
        let reason = if confirmed { Reason::ReauthorizationRequired } else { problem.reason };
        let wait = match reason.class() {
            // Neither needs a token request to look again, and no watch tells when they are mended.
            Class::Configuration
                if matches!(
                    reason,
                    Reason::StateInvalid | Reason::EndpointDenied | Reason::DuplicateRefreshToken
                ) =>
            {
                Some(back_off(attempts, attempt.uid))
            }
            Class::Well | Class::Configuration | Class::SignIn => None,
            Class::Refused => Some(ASK_AGAIN_AFTER.saturating_add(back_off(1, attempt.uid))),
            Class::Passing if reason == Reason::RefreshTokenRejected => {
                Some(CONFIRM_AFTER.saturating_add(back_off(1, attempt.uid)))
            }
            Class::Passing => Some(
                back_off(attempts, attempt.uid)
                    .max(bounded_retry_after(problem.retry_after.unwrap_or_default())),
            ),
        };
        let at = to_second(attempt.at);
        Self {
            reason,
            message: explain(reason, &problem.message),
            attempts,
            since: previous.map_or(at, |previous| previous.since),
            last_attempt: at,
            // One second more than the truncated time, so that the wait is never shorter than said.
            next_attempt: wait
                .map(|wait| to_second(plus(at, wait.saturating_add(Duration::from_secs(1))))),
            generation: attempt.generation,
            source_version: attempt.source_version.map(ToOwned::to_owned),
            provider_version: attempt.provider_version.map(ToOwned::to_owned),
        }
    }

    /// The same where no attempt was made, since those of others failed; the next one may be made then.
    pub fn held(
        previous: Option<&Self>,
        problem: &Problem,
        attempt: &Attempt<'_>,
        next: Timestamp,
    ) -> Self {
        let held = Self::after(previous, problem, attempt);
        Self {
            attempts: held.attempts.saturating_sub(1).max(1),
            next_attempt: Some(to_second(next)),
            ..held
        }
    }

    /// Whether it happened to this generation, this source and this provider; a change of any is tried at once.
    pub fn is_about(
        &self,
        generation: i64,
        source_version: Option<&str>,
        provider_version: Option<&str>,
    ) -> bool {
        self.generation == generation
            && self.source_version.as_deref() == source_version
            && self.provider_version.as_deref() == provider_version
    }

    /// Reads what an earlier process wrote.
    pub fn from_status(status: &OAuthCredentialStatus) -> Option<Self> {
        let failure = status.failure.as_ref()?;
        let ready = status.conditions.iter().find(|condition| condition.type_ == READY);
        Some(Self {
            reason: failure.reason.parse().ok()?,
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            attempts: failure.attempts,
            since: failure.since.0,
            last_attempt: failure.last_attempt_time.0,
            next_attempt: failure.next_attempt_time.as_ref().map(|time| time.0),
            generation: status.observed_generation?,
            source_version: failure.source_version.clone(),
            provider_version: failure.provider_version.clone(),
        })
    }

    /// As it is written into the status.
    pub fn to_status(&self) -> FailureStatus {
        FailureStatus {
            reason: self.reason.as_str().to_owned(),
            attempts: self.attempts,
            since: Time(self.since),
            last_attempt_time: Time(self.last_attempt),
            next_attempt_time: self.next_attempt.map(Time),
            source_version: self.source_version.clone(),
            provider_version: self.provider_version.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: Attempt<'_> = Attempt {
        uid: "uid",
        generation: 1,
        source_version: Some("7"),
        provider_version: None,
        at: Timestamp::UNIX_EPOCH,
    };

    fn after(previous: Option<&Failure>, reason: Reason) -> Failure {
        Failure::after(previous, &Problem::new(reason, String::new()), &ATTEMPT)
    }

    #[test]
    fn a_refusal_of_the_token_is_believed_the_second_time() {
        let first = after(None, Reason::RefreshTokenRejected);
        assert_eq!(first.reason, Reason::RefreshTokenRejected);
        assert!(first.next_attempt.unwrap().as_second() >= 60);
        let second = after(Some(&first), Reason::RefreshTokenRejected);
        assert_eq!((second.reason, second.next_attempt), (Reason::ReauthorizationRequired, None));
    }

    #[test]
    fn another_provider_begins_anew() {
        let first = after(None, Reason::ClientRejected);
        assert!(first.is_about(1, Some("7"), None) && !first.is_about(1, Some("7"), Some("p")));
        let other = Attempt { provider_version: Some("p"), ..ATTEMPT };
        let problem = Problem::new(Reason::ClientRejected, String::new());
        let second = Failure::after(Some(&first), &problem, &other);
        assert_eq!((second.attempts, second.provider_version.as_deref()), (1, Some("p")));
    }

    #[test]
    fn a_refused_grant_is_told_by_what_it_was() {
        let refused = TokenError::InvalidGrant(String::new());
        let reason = |grant| of_token_error(&refused, grant).reason;
        assert_eq!(reason(GrantKind::RefreshToken), Reason::RefreshTokenRejected);
        assert_eq!(reason(GrantKind::CookieSession), Reason::RefreshTokenRejected);
        assert_eq!(reason(GrantKind::Password), Reason::PasswordRejected);
        assert_eq!(reason(GrantKind::TokenExchange), Reason::RequestRejected);
        // Who refuses without a word of the standard may mean the password.
        let bare = |unauthorized, grant| {
            of_token_error(&TokenError::Refused { unauthorized, why: String::new() }, grant).reason
        };
        for unauthorized in [true, false] {
            assert_eq!(bare(unauthorized, GrantKind::Password), Reason::PasswordRejected);
        }
        assert_eq!(bare(true, GrantKind::ClientCredentials), Reason::ClientRejected);
        assert_eq!(bare(false, GrantKind::ClientCredentials), Reason::RequestRejected);
        let client = TokenError::InvalidClient(String::new());
        assert_eq!(of_token_error(&client, GrantKind::Password).reason, Reason::ClientRejected);
        // A few wrong passwords lock an account.
        assert_eq!(after(None, Reason::PasswordRejected).next_attempt, None);
    }

    #[test]
    fn another_source_begins_anew() {
        let first = after(None, Reason::RefreshTokenRejected);
        let other = Attempt { source_version: Some("8"), ..ATTEMPT };
        let second = Failure::after(
            Some(&first),
            &Problem::new(Reason::RefreshTokenRejected, String::new()),
            &other,
        );
        assert_eq!((second.reason, second.attempts), (Reason::RefreshTokenRejected, 1));
    }

    #[test]
    fn retry_after_lengthens_the_back_off_and_never_shortens_it() {
        let limited = |seconds| {
            let problem = Problem {
                retry_after: Some(Duration::from_secs(seconds)),
                ..Problem::new(Reason::RateLimited, String::new())
            };
            Failure::after(None, &problem, &ATTEMPT).next_attempt.unwrap().as_second()
        };
        assert!(limited(120) >= 120);
        assert!(limited(0) >= 5);
        assert!(limited(u64::MAX) <= 86_401);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let failure = Failure { message: "m".into(), ..after(None, Reason::ServerError) };
        let mut status = OAuthCredentialStatus {
            observed_generation: Some(1),
            failure: Some(Box::new(failure.to_status())),
            ..Default::default()
        };
        status.conditions.push(k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition {
            type_: READY.into(),
            message: "m".into(),
            status: "False".into(),
            reason: "ServerError".into(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        });
        assert_eq!(Failure::from_status(&status), Some(failure));
    }
}
