//! How long tokens live, as servers really write it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

use super::style::{ResponseStyle, Unit};

/// The longest lifetime that is believed: ten years, in seconds.
pub const MAX_LIFETIME_SECONDS: i64 = 315_360_000;
/// Times later than this as a number are milliseconds: the year 5138 in seconds, 1973 in milliseconds.
const LATEST_IN_SECONDS: i64 = 100_000_000_000;

/// What the response says of the access token's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Seconds from the request on, 1 to [`MAX_LIFETIME_SECONDS`].
    Seconds(i64),
    /// Until then.
    Until(Timestamp),
    /// Nothing.
    Missing,
    /// A member that can't be true; the text says what it was.
    Unusable(String),
}

/// The life of the access token: from `expires_in`, a time of expiry, or the `exp` of a JWT (RFC 7519 §4.1.4), the first of
/// them that can be used.
pub fn lifetime(answer: &Value, style: &ResponseStyle, access_token: &str) -> Lifetime {
    let said = relative(answer.pointer(&style.lifetime), style.lifetime_unit);
    if matches!(said, Lifetime::Seconds(_)) {
        return said;
    }
    let expiry = style.expiry.as_ref().and_then(|pointer| answer.pointer(pointer));
    let until = expiry.and_then(time).or_else(|| jwt_expiry(access_token));
    until.map_or(said, Lifetime::Until)
}

/// The life of the refresh token, if the answer says so: a count or a time of expiry, the first that can be used.
pub fn refresh_token_lifetime(answer: &Value, style: &ResponseStyle) -> Lifetime {
    let at = |place: &Option<String>| place.as_ref().and_then(|pointer| answer.pointer(pointer));
    let said = relative(at(&style.refresh_token_lifetime), style.refresh_token_lifetime_unit);
    if matches!(said, Lifetime::Seconds(_)) {
        return said;
    }
    at(&style.refresh_token_expiry).and_then(time).map_or(said, Lifetime::Until)
}

/// A number, also as a string or with a fraction.
fn relative(value: Option<&Value>, unit: Unit) -> Lifetime {
    let number = match value {
        None | Some(Value::Null) => return Lifetime::Missing,
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(_) => return Lifetime::Unusable("neither a number nor a string".to_owned()),
    };
    let Some(count) = whole(&number) else {
        return Lifetime::Unusable("not a number".to_owned());
    };
    let seconds = match unit {
        Unit::Seconds => count,
        Unit::Milliseconds => count / 1000,
    };
    match seconds {
        1..=MAX_LIFETIME_SECONDS => Lifetime::Seconds(seconds),
        _ => Lifetime::Unusable(count.to_string()),
    }
}

/// The whole part of a number: what is over is cut off, so that nothing seems to live longer than it does.
fn whole(number: &str) -> Option<i64> {
    let whole = number.split_once('.').map_or(number, |(whole, fraction)| {
        if fraction.bytes().all(|digit| digit.is_ascii_digit()) { whole } else { number }
    });
    whole.parse().ok()
}

/// A point in time: Unix seconds or milliseconds, also as a string, or RFC 3339.
fn time(value: &Value) -> Option<Timestamp> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    match whole(&text) {
        Some(seconds @ 1..LATEST_IN_SECONDS) => Timestamp::from_second(seconds).ok(),
        Some(milliseconds @ LATEST_IN_SECONDS..) => Timestamp::from_millisecond(milliseconds).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// The `exp` of a token that is a JWT. Its signature is the resource server's concern: a false time costs a renewal.
pub fn jwt_expiry(token: &str) -> Option<Timestamp> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    time(serde_json::from_slice::<Value>(&payload).ok()?.get("exp")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn style(change: serde_json::Value) -> ResponseStyle {
        serde_json::from_value(change).unwrap()
    }

    #[test]
    fn a_lifetime_may_be_counted_in_milliseconds_and_stand_elsewhere() {
        let style = style(json!({"lifetime": "/data/ttl", "lifetimeUnit": "Milliseconds"}));
        let read = |ttl| lifetime(&json!({"data": {"ttl": ttl}}), &style, "a");
        assert_eq!(read(json!(3_600_500)), Lifetime::Seconds(3600));
        assert_eq!(read(json!("900000")), Lifetime::Seconds(900));
        assert_eq!(read(json!(3_599_999.9)), Lifetime::Seconds(3599));
        assert_eq!(read(json!(999)), Lifetime::Unusable("999".into()));
    }

    #[test]
    fn a_time_of_expiry_is_read_in_every_usual_form() {
        let style = style(json!({"expiry": "/at"}));
        let read = |at| lifetime(&json!({"at": at}), &style, "a");
        let expected = Lifetime::Until("2026-01-02T03:04:05Z".parse().unwrap());
        for at in [
            json!(1_767_323_045),
            json!("1767323045"),
            json!(1_767_323_045.5),
            json!("1767323045.97"),
            json!(1_767_323_045_000_i64),
            json!("2026-01-02T03:04:05Z"),
            json!("2026-01-02T04:04:05+01:00"),
        ] {
            assert_eq!(read(at.clone()), expected, "{at}");
        }
        for wrong in [json!("soon"), json!(0), json!(-5), json!([]), json!(null)] {
            assert_eq!(read(wrong.clone()), Lifetime::Missing, "{wrong}");
        }
    }

    #[test]
    fn a_jwt_says_itself_when_it_expires_where_nothing_else_does() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"exp":1767323045}"#);
        let token = format!("e30.{payload}.c2ln");
        let expected = Lifetime::Until(Timestamp::from_second(1_767_323_045).unwrap());
        let style = ResponseStyle::default();
        assert_eq!(lifetime(&json!({}), &style, &token), expected);
        assert_eq!(lifetime(&json!({"expires_in": "soon"}), &style, &token), expected);
        assert_eq!(lifetime(&json!({"expires_in": 60}), &style, &token), Lifetime::Seconds(60));
        for opaque in ["a.b.c", "a", "a.b.c.d", "..", &format!("e30.{payload}")] {
            assert_eq!(lifetime(&json!({}), &style, opaque), Lifetime::Missing, "{opaque}");
        }
    }

    #[test]
    fn the_refresh_token_has_a_life_of_its_own() {
        let style = style(json!({"refreshTokenLifetime": "/x_refresh_token_expires_in"}));
        let answer = json!({"x_refresh_token_expires_in": 8_726_400});
        assert_eq!(refresh_token_lifetime(&answer, &style), Lifetime::Seconds(8_726_400));
        assert_eq!(refresh_token_lifetime(&json!({}), &style), Lifetime::Missing);
        let usual = ResponseStyle::default();
        assert_eq!(refresh_token_lifetime(&answer, &usual), Lifetime::Missing);
    }

    #[test]
    fn the_life_of_a_refresh_token_may_be_written_as_that_of_an_access_token() {
        let style = style(json!({
            "refreshTokenLifetime": "/ttl", "refreshTokenLifetimeUnit": "Milliseconds", "refreshTokenExpiry": "/at",
        }));
        let read = |answer| refresh_token_lifetime(&answer, &style);
        assert_eq!(read(json!({"ttl": "3600500", "at": 1})), Lifetime::Seconds(3600));
        let end = Lifetime::Until("2026-01-02T03:04:05Z".parse().unwrap());
        for at in [json!(1_767_323_045), json!("1767323045000"), json!("2026-01-02T04:04:05+01:00")]
        {
            assert_eq!(read(json!({"at": at.clone()})), end, "{at}");
            assert_eq!(read(json!({"ttl": "soon", "at": at.clone()})), end, "{at}");
        }
        assert_eq!(read(json!({"at": "soon"})), Lifetime::Missing);
    }
}
