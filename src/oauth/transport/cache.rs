//! A few clients, by what makes them: bounded, and gone when nobody used them for a while.

use std::collections::HashMap;
use std::time::Duration;

/// So many at most.
const MAX: usize = 64;
/// One that was not used for so long goes.
const IDLE: Duration = Duration::from_secs(600);

/// Values by digest, with the time of their last use.
#[derive(Debug)]
pub(super) struct Cache<V> {
    kept: HashMap<String, (Duration, V)>,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self { kept: HashMap::new() }
    }
}

impl<V: Clone> Cache<V> {
    /// The value of a digest, made if it is not there.
    ///
    /// # Errors
    /// Those of making it.
    pub(super) fn get<E>(
        &mut self,
        digest: String,
        now: Duration,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        self.kept.retain(|_, (used, _)| now.saturating_sub(*used) < IDLE);
        if let Some((used, value)) = self.kept.get_mut(&digest) {
            *used = now;
            return Ok(value.clone());
        }
        let value = make()?;
        if self.kept.len() >= MAX {
            let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used);
            let oldest = oldest.map(|(digest, _)| digest.clone());
            oldest.map(|digest| self.kept.remove(&digest));
        }
        self.kept.insert(digest, (now, value.clone()));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn it_stays_small_and_forgets_what_is_not_used() {
        let mut cache = Cache::default();
        let mut made = 0;
        let mut get = |digest: usize, seconds| {
            let now = Duration::from_secs(seconds);
            let value = cache.get(digest.to_string(), now, || {
                made += 1;
                Ok::<_, Infallible>(made)
            });
            (value.unwrap(), cache.kept.len())
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
}
