//! The Kubernetes side: watches, passes, exchanges and writes. Decides nothing itself; that is `lifecycle`'s.

pub mod context;
pub mod discovery;
pub mod events;
pub mod exchange;
pub mod finalize;
pub mod holder;
pub mod home;
pub mod index;
pub mod journal;
pub mod notes;
pub mod observe;
pub mod probe;
pub mod provider;
pub mod reconcile;
pub mod replay;
pub mod scope;
pub mod secrets;
pub mod shelf;
pub mod slots;
pub mod state;
pub mod status_patch;
pub mod target;
pub mod turns;
pub mod under_way;
pub mod watch_error;
pub mod watches;
