//! What is wrong, in words for a condition.

use std::time::Duration;

use crate::api::Reason;
use crate::api::condition::Class;

/// What is wrong, in one reason and one sentence that names the field or key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The reason of the condition.
    pub reason: Reason,
    /// The message of the condition.
    pub message: String,
    /// What the server asked to wait.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// The sentence for the condition; where somebody must act it ends with what to do.
    pub fn text(&self) -> String {
        explain(self.reason, &self.message)
    }

    /// Whether nothing gets better until somebody acts.
    pub fn is_stalled(&self) -> bool {
        matches!(self.reason.class(), Class::Configuration | Class::Refused | Class::SignIn)
    }

    /// A problem without a server-given wait.
    pub fn new(reason: Reason, message: String) -> Self {
        Self { reason, message, retry_after: None }
    }
}

/// The sentence with what to do, where somebody must act.
pub(super) fn explain(reason: Reason, message: &str) -> String {
    match reason.class() {
        Class::Well | Class::Passing => message.to_owned(),
        Class::Configuration | Class::Refused | Class::SignIn => {
            format!("{message}. {}", reason.remedy().replace('`', ""))
        }
    }
}
