//! The state Secret: the record, the claim while a token is being spent, and the mark of a dead lineage.

mod place;
mod read;
mod write;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::Reason;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::StateRecord;
use crate::lifecycle::rotation::choice::RefusedSeed;
use crate::lifecycle::rotation::claim::Claim;

use super::secrets::WriteError;

pub use self::place::{Place, name};
pub use self::read::{read, reread};
pub use self::write::{Dead, Released, Taking, claim, commit, create, mend, release, restore};

/// The type of state Secrets.
pub const STATE_TYPE: &str = "oauth-keeper.dev/state";
const RECORD: &str = "record";
const CLAIM: &str = "claim";
const REFUSED: &str = "refused";
/// Between two tries of a write that must be made, growing.
pub const FIRST_RETRY: Duration = Duration::from_millis(50);
/// And no longer than this.
pub const LAST_RETRY: Duration = Duration::from_secs(5);

/// A state as read live, or after our own write.
#[derive(Clone, Debug, Default)]
pub struct State {
    uid: String,
    version: String,
    /// The record, unless no exchange was ever committed.
    pub record: Option<StateRecord>,
    /// The claim, while a token is being spent or nobody knows what came of it.
    pub claim: Option<Claim>,
    /// The seed whose lineage is dead, if one is.
    pub refused: Option<RefusedSeed>,
    /// Generation of a record that can't be read whole.
    unreadable_generation: i64,
    /// There is no place for it any more.
    gone: bool,
}

impl State {
    /// Its UID; empty when there is no such Secret.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Its `resourceVersion`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether there is such a Secret.
    pub fn exists(&self) -> bool {
        !self.uid.is_empty()
    }

    /// The generation of the record; 0 without one.
    pub fn generation(&self) -> i64 {
        self.record.as_ref().map_or(self.unreadable_generation, |record| record.generation)
    }

    /// The same, with what is known of the token of one that is gone and never had a record.
    #[must_use]
    pub fn with_marks(self, marks: Option<&Marks>) -> Self {
        match marks {
            Some(Marks { claim, refused }) if !self.exists() => {
                Self { claim: claim.clone(), refused: refused.clone(), ..self }
            }
            _ => self,
        }
    }

    /// What stands beside the record.
    pub fn marks(&self) -> Marks {
        Marks { claim: self.claim.clone(), refused: self.refused.clone() }
    }

    /// Whether the claim is that of this exchange.
    pub fn is_claimed_by(&self, exchange: &str) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.exchange == exchange)
    }

    /// One that can't be: there is no place for it any more.
    pub fn gone() -> Self {
        Self { unreadable_generation: i64::MAX, gone: true, ..Self::default() }
    }

    /// Whether there is no place for it any more.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// After a write.
    fn at(meta: &ObjectMeta) -> Self {
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// What stands beside the record, and must not be lost with the Secret: else a token would be sent that may not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The claim.
    pub claim: Option<Claim>,
    /// The seed whose lineage is dead.
    pub refused: Option<RefusedSeed>,
}

/// A failure of the API server around the state.
pub fn unwritable(place: &Place, error: &WriteError) -> Problem {
    Problem::new(
        Reason::StateNotWritable,
        format!("the state Secret {} can't be read or written: {error}", place.name),
    )
}
