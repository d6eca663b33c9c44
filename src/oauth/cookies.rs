//! What cookies say (RFC 6265), as far as a client needs it that keeps two of them.

use cookie::Cookie;
use http::HeaderMap;
use http::header::SET_COOKIE;
use jiff::Timestamp;
use zeroize::Zeroizing;

/// The most bytes of `Set-Cookie` headers that are kept of one answer.
pub const MAX_SET_COOKIE_BYTES: usize = 16 * 1024;

/// The `Set-Cookie` headers of an answer, in order, as many as fit. Wiped when dropped.
pub fn set_cookies(headers: &HeaderMap) -> Vec<Zeroizing<String>> {
    let mut room = MAX_SET_COOKIE_BYTES;
    let texts = headers.get_all(SET_COOKIE).iter();
    let texts = texts.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    let fits = |text: &&str| {
        let left = room.checked_sub(text.len());
        room = left.unwrap_or(room);
        left.is_some()
    };
    texts.filter(fits).map(|text| Zeroizing::new(text.to_owned())).collect()
}

/// A cookie that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// For so many seconds (`Max-Age`).
    Seconds(i64),
    /// Until then (`Expires`).
    Until(Timestamp),
    /// As long as the session.
    Session,
}

/// The value and the life of the cookie of that name: the last one that was set, and not taken away, at that time.
pub fn find<'a>(
    set_cookies: &'a [Zeroizing<String>],
    name: &str,
    at: Timestamp,
) -> Option<(&'a str, Life)> {
    let read = |text: &'a Zeroizing<String>| {
        let cookie = Cookie::parse(text.as_str()).ok()?;
        let life = life(&cookie);
        let is_set = match life {
            Life::Seconds(seconds) => seconds > 0,
            Life::Until(end) => end > at,
            Life::Session => true,
        };
        let is_it = is_set && cookie.name() == name && !cookie.value().is_empty();
        let value = cookie.value_raw().filter(|_| is_it)?;
        Some((value, life))
    };
    set_cookies.iter().rev().find_map(read)
}

/// `Max-Age` counts more than `Expires` (RFC 6265 §5.3).
fn life(cookie: &Cookie<'_>) -> Life {
    if let Some(age) = cookie.max_age() {
        return Life::Seconds(age.whole_seconds());
    }
    let end = cookie.expires_datetime();
    let end = end.and_then(|end| Timestamp::from_second(end.unix_timestamp()).ok());
    end.map_or(Life::Session, Life::Until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(texts: &[&str]) -> Vec<Zeroizing<String>> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(SET_COOKIE, text.parse().unwrap());
        }
        set_cookies(&headers)
    }

    fn found(texts: &[&str]) -> Option<(String, Life)> {
        let kept = kept(texts);
        find(&kept, "a", Timestamp::UNIX_EPOCH).map(|(value, life)| (value.to_owned(), life))
    }

    #[test]
    fn a_cookie_is_read_as_browsers_read_it() {
        let until = |second| Life::Until(Timestamp::from_second(second).unwrap());
        let cases = [
            ("a=x", "x", Life::Session),
            ("a=x; Max-Age=15; Path=/; HttpOnly; Secure", "x", Life::Seconds(15)),
            ("a=x;max-age=15", "x", Life::Seconds(15)),
            ("a=x; Expires=Fri, 02 Jan 2026 03:04:05 GMT", "x", until(1_767_323_045)),
            ("a=x; Expires=Fri, 02 Jan 2026 03:04:05 GMT; Max-Age=15", "x", Life::Seconds(15)),
            ("a=x; Expires=soon", "x", Life::Session),
            ("a=x; Max-Age=soon", "x", Life::Session),
            ("a=b=c==; Domain=.example.com; SameSite=Lax; Priority=High", "b=c==", Life::Session),
            ("a=\"x\"", "\"x\"", Life::Session),
            (" a = x ", "x", Life::Session),
        ];
        for (text, value, life) in cases {
            assert_eq!(found(&[text]), Some((value.to_owned(), life)), "{text}");
        }
    }

    #[test]
    fn what_is_taken_away_or_another_is_not_found() {
        let taken_away = [
            "a=",
            "a=; Max-Age=0",
            "a=x; Max-Age=0",
            "a=x; Max-Age=-1",
            "a=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "A=x",
            "aa=x",
            "a",
            "=x",
            "",
            ";",
        ];
        for text in taken_away {
            assert_eq!(found(&[text]), None, "{text}");
        }
        let path = "a=; Max-Age=0; Path=/old";
        assert_eq!(found(&["a=1", "a=2", path]), Some(("2".to_owned(), Life::Session)));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let large = format!("b={}", "x".repeat(MAX_SET_COOKIE_BYTES - 10));
        let texts = kept(&[&large, &large, "a=1", "a=22"]);
        assert_eq!(
            texts.iter().map(|text| text.as_str()).collect::<Vec<_>>(),
            [&large, "a=1", "a=22"]
        );
        assert_eq!(kept(&[&large, "a=1", "a=2222222"]).len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(texts in proptest::collection::vec(".{0,200}", 0..8), name in ".{0,8}") {
            let kept: Vec<_> = texts.into_iter().map(Zeroizing::new).collect();
            let at = Timestamp::UNIX_EPOCH;
            let found = find(&kept, &name, at);
            proptest::prop_assert!(found.is_none_or(|(value, _)| !value.is_empty() && !value.contains(';')));
        }

        #[test]
        fn nor_does_anything_that_looks_like_one(
            name in "[ a]{0,2}", value in "[-a-z\"=, ]{0,6}",
            attributes in proptest::collection::vec(
                "(; ?)(Max-Age|max-age|Expires|Path|Secure)(=[-0-9]{0,22}|=(Fri|x), [0-9]{2}[- ]Jan[- ][0-9]{1,6} 03:04:05 GMT)?", 0..4),
        ) {
            let text = format!("{name}={value}{}", attributes.concat());
            let kept = [Zeroizing::new(text)];
            if let Some((found, _)) = find(&kept, "a", Timestamp::UNIX_EPOCH) {
                proptest::prop_assert_eq!(found, value.trim());
            }
        }
    }
}
