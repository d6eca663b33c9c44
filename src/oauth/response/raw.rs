//! The answer as the transport reads it.

use std::time::Duration;

use jiff::Timestamp;
use zeroize::Zeroizing;

/// An answer as it came in.
#[derive(Clone)]
pub struct RawResponse {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header (RFC 9110 §10.2.3).
    pub retry_after: Option<String>,
    /// When the answer was complete; a date in `Retry-After` counts from here.
    pub received_at: Timestamp,
    /// Whether it is all of it.
    pub ending: Ending,
    /// The body, wiped when dropped.
    pub body: Zeroizing<Vec<u8>>,
    /// Its `Set-Cookie` headers, where a cookie was sent; wiped when dropped.
    pub set_cookies: Vec<Zeroizing<String>>,
}

impl RawResponse {
    /// `Retry-After`: seconds, or an HTTP date in one of its three forms (RFC 9110 §10.2.3, §5.6.7). A time that is over asks
    /// for nothing.
    pub fn asks_to_wait(&self) -> Option<Duration> {
        let text = self.retry_after.as_deref()?.trim();
        if let Some(seconds) = seconds(text) {
            return Some(seconds);
        }
        let usual = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
        let other = || Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok();
        Duration::try_from(usual.or_else(other)?.duration_since(self.received_at)).ok()
    }
}

/// A count of seconds, as some write it with a fraction, which is rounded up.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    let seconds = whole.parse::<u64>().unwrap_or(u64::MAX).saturating_add(more);
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

/// As good as for ever, in seconds; what waits has bounds of its own.
const LONGEST_WAIT: u64 = 315_360_000;

/// Whether an answer is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is.
    Whole,
    /// The connection was lost, or time ran out, before its end.
    BrokenOff,
    /// It, or its headers, are larger than what is read of an answer; the rest was not read.
    TooLarge,
}
