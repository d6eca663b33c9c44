//! The refresh token in an answer that is of no other use: broken off behind it, or with nothing else in it that makes sense.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use url::form_urlencoded;

/// The text at a pointer (RFC 6901), if it is there to its last character; whatever follows it may be missing or wrong.
pub fn text_at(body: &[u8], pointer: &str) -> Option<String> {
    let path = path(pointer)?;
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(body);
    // An error may well come behind what is looked for.
    let _ = Seek { path: &path, found: &mut found }.deserialize(&mut json);
    found
}

/// The same in the first of a list of answers.
pub fn text_in_a_list(body: &[u8], pointer: &str) -> Option<String> {
    let is_a_list = body.trim_ascii_start().starts_with(b"[");
    is_a_list.then(|| text_at(body, &format!("/0{pointer}"))).flatten()
}

/// The value of a member at the top, where the answer is a form and the value is there to its last character: in one that
/// broke off only another member behind it tells.
pub fn value_at(body: &[u8], pointer: &str, is_whole: bool) -> Option<String> {
    let body = body.trim_ascii();
    if !is_form(body) {
        return None;
    }
    let [name] = path(pointer)?.try_into().ok()?;
    let end = if is_whole { body.len() } else { body.iter().rposition(|byte| *byte == b'&')? };
    let mut pairs = form_urlencoded::parse(body.get(..end)?);
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.into_owned())
}

/// Whether a body can be a form: it begins with a name and `=`. Some servers leave spaces as they are.
pub fn is_form(body: &[u8]) -> bool {
    let name = body.split(|byte| *byte == b'=').next().unwrap_or_default();
    let in_a_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.%[]".contains(byte);
    let is_named = !name.is_empty() && name.len() < body.len() && name.iter().all(in_a_name);
    is_named && body.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}

/// The segments of a pointer, if it is one.
fn path(pointer: &str) -> Option<Vec<String>> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return None;
    }
    let segments = pointer.split('/').skip(1);
    Some(segments.map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
}

/// A place in a list, which has one spelling (RFC 6901 §4).
fn index(segment: &str) -> Option<usize> {
    let index: usize = segment.parse().ok()?;
    (index.to_string() == segment).then_some(index)
}

struct Seek<'p, 'f> {
    path: &'p [String],
    found: &'f mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_, '_> {
    type Value = ();

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.path.is_empty() {
            *self.found = Some(text.to_owned());
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match self.path.split_first() {
                Some((first, rest)) if *first == name => {
                    map.next_value_seed(Seek { path: rest, found: &mut *self.found })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let wanted = self.path.split_first().and_then(|(first, rest)| Some((index(first)?, rest)));
        for at in 0_usize.. {
            let more = match wanted {
                Some((index, rest)) if index == at => {
                    list.next_element_seed(Seek { path: rest, found: &mut *self.found })?.is_some()
                }
                _ => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_text_at_its_place_and_at_no_other() {
        let body = br#"{"other":{"refresh_token":"no"},"list":[1,{"t":"in a list"}],"authed_user":{"refresh_token":"yes"#;
        let whole = [body.as_slice(), b"\", "].concat();
        assert_eq!(text_at(&whole, "/authed_user/refresh_token").as_deref(), Some("yes"));
        assert_eq!(text_at(body, "/authed_user/refresh_token"), None, "its end is missing");
        assert_eq!(text_at(&whole, "/refresh_token"), None);
        assert_eq!(text_at(&whole, "/list/1/t").as_deref(), Some("in a list"));
        assert_eq!(text_at(br#"{"a/b":"x"}"#, "/a~1b").as_deref(), Some("x"));
        assert_eq!(text_at(br#"{"refresh_token":7}"#, "/refresh_token"), None);
        for no_pointer in ["refresh_token", "authed_user/refresh_token", "/list/01/t", "/list/+1/t"]
        {
            assert_eq!(text_at(&whole, no_pointer), None, "{no_pointer}");
        }
    }

    #[test]
    fn a_form_that_broke_off_gives_only_what_another_member_ends() {
        let form = "access_token=at&refresh_token=r%2Ft&scope=";
        let value = |body: &str, is_whole| value_at(body.as_bytes(), "/refresh_token", is_whole);
        assert_eq!(value(form, false).as_deref(), Some("r/t"));
        for cut in 0..=form.find("&scope").unwrap() {
            assert_eq!(value(&form[..cut], false), None, "{cut}");
        }
        assert_eq!(value("access_token=&refresh_token=rt\n", true).as_deref(), Some("rt"));
        assert_eq!(value_at(form.as_bytes(), "/data/refresh_token", false), None);
        for other in [
            "{\"a\":\"x&refresh_token=rt&\"",
            "<a href=x&refresh_token=rt&y>",
            "a b&refresh_token=rt&c",
            "",
        ] {
            assert_eq!(value(other, false), None, "{other}");
        }
    }
}
