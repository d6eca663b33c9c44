//! The mark that an exchange of a credential, or its end, is under way: two at once would spend one token twice.

use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::problem::Problem;
use crate::lifecycle::schedule::{plus, to_second};

use super::context::Context;
use super::index::{Name, named};
use super::scope::Guarded;

/// After an exchange that panicked.
const AFTER_A_PANIC: Duration = Duration::from_secs(60);

/// The mark. It goes when this is dropped, also by a panic; then the credential is looked at again.
pub struct UnderWay {
    /// What every pass needs.
    pub context: Arc<Context>,
    /// Of the credential.
    pub name: Name,
    uid: String,
    /// Cancelled when one that still waits for its turn need not begin any more.
    pub need_not_begin: CancellationToken,
}

impl UnderWay {
    /// Marks an exchange as under way; nothing when there is one under this name already.
    pub fn begin(context: &Arc<Context>, object: &Guarded) -> Option<Self> {
        let meta = object.meta();
        let uid = meta.uid.clone().unwrap_or_default();
        let name = named(meta);
        let need_not_begin = context.notes.begin(name.clone(), &uid, None)?;
        Some(Self { context: Arc::clone(context), name, uid, need_not_begin })
    }

    /// The same for what an earlier process left, of whatever has that name.
    pub fn of_an_earlier_process(
        context: &Arc<Context>,
        name: Name,
        problem: Problem,
    ) -> Option<Self> {
        let need_not_begin = context.notes.begin(name.clone(), "", Some(problem))?;
        Some(Self { context: Arc::clone(context), name, uid: String::new(), need_not_begin })
    }

    /// After a panic, which may come again: not at once.
    pub fn pause(&self) {
        let now = self.context.clock.now();
        self.context.notes.update(&self.uid, |note| {
            note.last_attempt = Some(to_second(now));
            note.not_before = Some(plus(now, AFTER_A_PANIC));
        });
    }

    /// The credential as it is now, unless it is another one than it was begun for.
    pub fn credential(&self) -> Option<Arc<Guarded>> {
        let (namespace, name) = &self.name;
        let object = self.context.credential(namespace, name);
        object.filter(|object| self.uid.is_empty() || object.meta().uid.as_ref() == Some(&self.uid))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.context.notes.end(&self.name, &self.uid);
        let (namespace, name) = &self.name;
        self.context.wake(namespace, name);
    }
}
