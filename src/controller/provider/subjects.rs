//! The providers whose status is to be looked at.

use std::sync::{Mutex, PoisonError};

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::api::provider::ProviderKind;
use crate::controller::index::Name;

/// A provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its kind.
    pub kind: ProviderKind,
    /// Namespace and name; the namespace is empty for one of the cluster.
    pub name: Name,
}

/// The providers whose status is to be looked at.
pub struct Reports {
    asks: UnboundedSender<Subject>,
    asked: Mutex<Option<UnboundedReceiver<Subject>>>,
}

impl Default for Reports {
    fn default() -> Self {
        let (asks, asked) = mpsc::unbounded();
        Self { asks, asked: Mutex::new(Some(asked)) }
    }
}

impl Reports {
    /// Has the status of a provider looked at.
    pub fn ask(&self, subject: Subject) {
        // Refused only when the reader has stopped, at the end of all work.
        let _ = self.asks.unbounded_send(subject);
    }

    /// Those that are asked for, to the first who wants them.
    pub(super) fn asked(&self) -> Option<UnboundedReceiver<Subject>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
