//! A few clients, by what makes them: bounded, and gone when nobody used them for a while. Each is made once, and while
//! that takes its time the others can be had.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// So many at most.
const MAX: usize = 64;
/// One that was not used for so long goes.
const IDLE: Duration = Duration::from_secs(600);

/// Values by digest, with the time of their last use. Nothing where one can't be made.
#[derive(Debug)]
pub(super) struct Cache<V> {
    kept: Mutex<HashMap<String, (Duration, Kept<V>)>>,
}

type Kept<V> = Arc<OnceLock<Option<V>>>;

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self { kept: Mutex::default() }
    }
}

impl<V: Clone> Cache<V> {
    /// The value of a digest, made if it is not there.
    pub(super) fn get(
        &self,
        digest: String,
        now: Duration,
        make: impl FnOnce() -> Option<V>,
    ) -> Option<V> {
        self.place(digest, now).get_or_init(make).clone()
    }

    fn place(&self, digest: String, now: Duration) -> Kept<V> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (used, _)| now.saturating_sub(*used) < IDLE);
        if let Some((used, value)) = kept.get_mut(&digest) {
            *used = now;
            return Arc::clone(value);
        }
        if kept.len() >= MAX {
            let oldest = kept.iter().min_by_key(|(_, (used, _))| *used);
            let oldest = oldest.map(|(digest, _)| digest.clone());
            oldest.map(|digest| kept.remove(&digest));
        }
        let new = Kept::default();
        kept.insert(digest, (now, Arc::clone(&new)));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_small_and_forgets_what_is_not_used() {
        let cache = Cache::default();
        let mut made = 0;
        let mut get = |digest: usize, seconds| {
            let now = Duration::from_secs(seconds);
            let value = cache.get(digest.to_string(), now, || {
                made += 1;
                Some(made)
            });
            (value.unwrap(), cache.kept.lock().unwrap().len())
        };
        assert_eq!(get(0, 0), (1, 1));
        assert_eq!(get(0, 599), (1, 1));
        for digest in 1..1000 {
            assert!(get(digest, 600).1 <= MAX);
        }
        assert_eq!(get(999, 601).0, 1000);
        assert_eq!(get(0, 602).0, 1001, "it was the least used");
        assert_eq!(get(5000, 2000), (1002, 1));
    }

    #[test]
    fn one_is_made_once_and_others_can_be_had_meanwhile() {
        let cache = Cache::default();
        let get = |digest: &str, make: &dyn Fn() -> Option<u8>| {
            cache.get(digest.to_owned(), Duration::ZERO, make)
        };
        let made = get("a", &|| get("b", &|| Some(2)).map(|other| other - 1));
        assert_eq!((made, get("b", &|| None)), (Some(1), Some(2)));
        assert_eq!((get("c", &|| None), get("c", &|| Some(3))), (None, None));
    }
}
