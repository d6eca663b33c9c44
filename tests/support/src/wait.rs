//! Waiting on conditions instead of sleeping.

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Asks again and again until `probe` gives a value; panics with `what` at the deadline.
#[track_caller]
pub fn until<T, F, P>(
    what: &str,
    limit: Duration,
    mut probe: F,
) -> impl Future<Output = T> + use<T, F, P>
where
    F: FnMut() -> P,
    P: Future<Output = Option<T>>,
{
    let place = Location::caller();
    let what = what.to_owned();
    async move {
        let observing = move || {
            let answer = probe();
            async move { answer.await.ok_or(NOTHING) }
        };
        match poll(limit, observing).await {
            Ok(value) => value,
            Err(_) => panic!("waited {limit:?} in vain until {what} (at {place})"),
        }
    }
}

/// Like [`until`], but the probe says what it saw instead, and the panic tells the last of it.
#[track_caller]
pub fn until_ok<T, E, F, P>(
    what: &str,
    limit: Duration,
    probe: F,
) -> impl Future<Output = T> + use<T, E, F, P>
where
    E: Display,
    F: FnMut() -> P,
    P: Future<Output = Result<T, E>>,
{
    let place = Location::caller();
    let what = what.to_owned();
    async move {
        match poll(limit, probe).await {
            Ok(value) => value,
            Err(seen) => {
                let seen = seen.map_or_else(|| "no answer".to_owned(), |seen| seen.to_string());
                panic!("waited {limit:?} in vain until {what} (at {place}); last seen: {seen}")
            }
        }
    }
}

const NOTHING: &str = "nothing";

/// The value, or the last observation (none when no probe came back in time).
async fn poll<T, E, F, P>(limit: Duration, mut probe: F) -> Result<T, Option<E>>
where
    F: FnMut() -> P,
    P: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    loop {
        match timeout_at(deadline, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => last = Some(seen),
            Err(_) => return Err(last),
        }
        if Instant::now() + pause >= deadline {
            return Err(last);
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
