//! A pace for what one change would have thousands of credentials do at once, as to look at themselves or to write their
//! status.

use std::time::Duration;

/// So many at once, and as many after each such time.
const AT_ONCE: usize = 20;
const EACH: Duration = Duration::from_secs(1);

/// Does something step by step, each told how many it may do, until one says that none are left. Ends a pause after the last
/// step, so that what follows it keeps the pace.
pub async fn in_steps(mut step: impl FnMut(usize) -> bool) {
    loop {
        let are_left = step(AT_ONCE);
        tokio::time::sleep(EACH).await;
        if !are_left {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_are_done_in_groups_with_a_pause_after_each() {
        let begun = Instant::now();
        let (mut left, mut groups) = (45_usize, Vec::new());
        in_steps(|most| {
            let group = left.min(most);
            left -= group;
            groups.push((begun.elapsed().as_secs(), group));
            left > 0
        })
        .await;
        assert_eq!(groups, [(0, 20), (1, 20), (2, 5)]);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }
}
