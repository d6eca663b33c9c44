//! How a refresh token is spent so that its successor is never lost: claim, send, journal, commit. Decisions only;
//! `controller::exchange` carries them out.

pub mod admission;
pub mod answer;
pub mod choice;
pub mod claim;
pub mod commit;
pub mod exchange;
pub mod hold;
pub mod invariants;
pub mod replay;
