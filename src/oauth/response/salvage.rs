//! The refresh token in an answer that is of no other use: broken off behind it, or with nothing else in it that makes sense.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The text at a pointer (RFC 6901), if it is there to its last character; whatever follows it may be missing or wrong.
pub fn text_at(body: &[u8], pointer: &str) -> Option<String> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return None;
    }
    let path: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect();
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(body);
    // An error may well come behind what is looked for.
    let _ = Seek { path: &path, found: &mut found }.deserialize(&mut json);
    found
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
}
