//! What stands in a file of the journal: a line that says what is spent, a line once it is being sent, a line about the
//! answer, and the answer's bytes as they came.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::controller::state::Place;
use crate::lifecycle::record::Owners;
use crate::lifecycle::resolve::Reading;
use crate::lifecycle::rotation::commit::{RefreshTerms, Spent};
use crate::oauth::cookies::MAX_SET_COOKIE_BYTES;
use crate::oauth::response::{Ending, RawResponse, ResponseStyle};
use crate::oauth::secret::RefreshToken;

/// Room for the line about the answer. A character of a cookie takes up to two in it.
pub(super) const ANSWER_LINE: u64 = 1024 + 2 * MAX_SET_COOKIE_BYTES as u64;

/// The format of a file. A later one is left alone, and not misread: fields that are added have defaults, and whatever
/// else changes takes another number.
const VERSION: u32 = 1;

/// A file whose exchange was begun before its format had a number.
fn unnumbered() -> u32 {
    VERSION
}

/// Whose exchange a file is about. Every release writes these members into the first line of a file, and reads them in
/// those of any other.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// The number of the format.
    #[serde(default = "unnumbered")]
    pub version: u32,
    /// Namespace of the credential.
    pub namespace: String,
    /// Name of the credential.
    pub credential: String,
    /// Its UID; empty where it was not written yet.
    #[serde(default)]
    pub uid: String,
}

impl Head {
    /// Whether the file is in the format that this release writes: then its rest is spoiled.
    pub fn is_of_this_format(&self) -> bool {
        self.version == VERSION
    }
}

/// What is spent: all that is needed to commit the answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    #[serde(default = "unnumbered")]
    version: u32,
    /// Namespace of the state.
    pub namespace: String,
    /// Name of the state Secret.
    pub state: String,
    /// Name of the credential.
    pub credential: String,
    #[serde(default)]
    uid: String,
    /// Id of the exchange, as in its claim.
    pub exchange: String,
    base_generation: i64,
    floor: i64,
    seed: String,
    token: String,
    new_lineage: bool,
    salt: String,
    request: String,
    endpoint: String,
    client: String,
    source_version: String,
    owners: Owners,
    #[serde(default)]
    write_back: bool,
    #[serde(default)]
    refresh_terms: RefreshTerms,
    #[serde(default)]
    default_lifetime: Option<Duration>,
    #[serde(default)]
    response_style: ResponseStyle,
}

/// An exchange as an earlier process left it.
pub struct Left {
    /// What was spent.
    pub entry: Entry,
    /// When the token was sent, if it was.
    pub sent_at: Option<Timestamp>,
    /// The answer, as far as it was written.
    pub answer: Option<RawResponse>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    sent_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    status: u16,
    received_at: Timestamp,
    whole: bool,
    bytes: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    set_cookies: Vec<Cow<'a, str>>,
}

impl Entry {
    /// Gathers an entry.
    pub fn new(
        (place, uid): (&Place, &str),
        exchange: &str,
        spent: &Spent,
        reading: Reading<'_>,
    ) -> Self {
        Self {
            version: VERSION,
            namespace: place.namespace.clone(),
            state: place.name.clone(),
            credential: place.credential.clone(),
            uid: uid.to_owned(),
            exchange: exchange.to_owned(),
            base_generation: spent.base_generation,
            floor: spent.floor,
            seed: spent.seed.expose().to_owned(),
            token: spent.token.expose().to_owned(),
            new_lineage: spent.new_lineage,
            salt: spent.salt.clone(),
            request: spent.request.clone(),
            endpoint: spent.endpoint.clone(),
            client: spent.client.clone(),
            source_version: spent.source_version.clone(),
            owners: spent.owners.clone(),
            write_back: spent.write_back,
            refresh_terms: spent.refresh_terms,
            default_lifetime: reading.default_lifetime,
            response_style: reading.style.clone(),
        }
    }

    /// Where its state is.
    pub fn place(&self) -> Place {
        Place {
            namespace: self.namespace.clone(),
            name: self.state.clone(),
            credential: self.credential.clone(),
        }
    }

    /// What was spent.
    pub fn spent(&self) -> Spent {
        Spent {
            seed: RefreshToken::new(self.seed.as_str()),
            token: RefreshToken::new(self.token.as_str()),
            new_lineage: self.new_lineage,
            salt: self.salt.clone(),
            base_generation: self.base_generation,
            floor: self.floor,
            request: self.request.clone(),
            endpoint: self.endpoint.clone(),
            client: self.client.clone(),
            source_version: self.source_version.clone(),
            owners: self.owners.clone(),
            write_back: self.write_back,
            refresh_terms: self.refresh_terms,
        }
    }

    /// Lifetime of an access token whose response has none.
    pub fn default_lifetime(&self) -> Option<Duration> {
        self.default_lifetime
    }

    /// How its answer is read.
    pub fn response_style(&self) -> &ResponseStyle {
        &self.response_style
    }
}

/// Whose exchange the bytes of a file are about, whatever else is in them.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    take_line(bytes).map(|(head, _)| head)
}

/// The line that the token is about to be sent.
pub(super) fn about_sending(sent_at: Timestamp) -> io::Result<Zeroizing<Vec<u8>>> {
    line(&Sent { sent_at })
}

/// The line about an answer.
pub(super) fn about_answer(raw: &RawResponse) -> io::Result<Zeroizing<Vec<u8>>> {
    line(&Answer {
        status: raw.status,
        received_at: raw.received_at,
        whole: raw.ending == Ending::Whole,
        bytes: raw.body.len(),
        set_cookies: raw.set_cookies.iter().map(|text| text.as_str().into()).collect(),
    })
}

/// Reads the bytes of a file; of one that was cut short as much as is there.
pub(super) fn understand(bytes: &[u8]) -> Option<Left> {
    let (entry, rest) = take_line::<Entry>(bytes)?;
    if entry.version != VERSION {
        return None;
    }
    let Some((sent, rest)) = take_line::<Sent>(rest) else {
        // A line that was cut was being written before the request; one that is spoiled tells nothing.
        let was_cut = !rest.contains(&b'\n');
        return was_cut.then_some(Left { entry, sent_at: None, answer: None });
    };
    let answer = take_line::<Answer<'_>>(rest).map(|(answer, rest)| {
        let body = rest.get(..answer.bytes).unwrap_or(rest);
        let whole = answer.whole && body.len() == answer.bytes;
        RawResponse {
            status: answer.status,
            retry_after: None,
            received_at: answer.received_at,
            ending: if whole { Ending::Whole } else { Ending::BrokenOff },
            body: Zeroizing::new(body.to_vec()),
            set_cookies: answer
                .set_cookies
                .into_iter()
                .map(Cow::into_owned)
                .map(Zeroizing::new)
                .collect(),
        }
    });
    Some(Left { entry, sent_at: Some(sent.sent_at), answer })
}

fn take_line<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((serde_json::from_slice(line).ok()?, rest.get(1..)?))
}

pub(super) fn line(value: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(serde_json::to_vec(value)?);
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn entry() -> Entry {
        let spent = Spent {
            seed: RefreshToken::new("s"),
            token: RefreshToken::new("t"),
            new_lineage: false,
            salt: "salt".into(),
            base_generation: 3,
            floor: 3,
            request: "q".into(),
            endpoint: "https://as.example".into(),
            client: "c".into(),
            source_version: "7".into(),
            owners: Owners::default(),
            write_back: false,
            refresh_terms: RefreshTerms::default(),
        };
        let place =
            Place { namespace: "n".into(), name: "c-oauth-state".into(), credential: "c".into() };
        let style = ResponseStyle::default();
        Entry::new((&place, "u"), "x", &spent, Reading { style: &style, default_lifetime: None })
    }

    fn file(answer: bool) -> Vec<u8> {
        let mut bytes = line(&entry()).unwrap().to_vec();
        bytes.extend(line(&Sent { sent_at: Timestamp::UNIX_EPOCH }).unwrap().iter());
        if answer {
            let answer = Answer {
                status: 200,
                received_at: Timestamp::UNIX_EPOCH,
                whole: true,
                bytes: 24,
                set_cookies: vec!["a=\"1\"; Path=/".into()],
            };
            bytes.extend(line(&answer).unwrap().iter());
            bytes.extend(br#"{"refresh_token":"abcd"}"#);
        }
        bytes
    }

    #[test]
    fn a_file_tells_how_far_its_exchange_came() {
        let only_entry = line(&entry()).unwrap();
        let left = understand(&only_entry).unwrap();
        assert!(left.sent_at.is_none() && left.answer.is_none());
        let left = understand(&file(false)).unwrap();
        assert!(left.sent_at.is_some() && left.answer.is_none());
        let left = understand(&file(true)).unwrap();
        let answer = left.answer.unwrap();
        assert_eq!(answer.ending, Ending::Whole);
        assert_eq!(
            answer.set_cookies.iter().map(|text| text.as_str()).collect::<Vec<_>>(),
            ["a=\"1\"; Path=/"]
        );
        assert_eq!(left.entry.spent().token.expose(), "t");
    }

    #[test]
    fn a_file_cut_at_any_byte_is_never_taken_for_a_whole_answer() {
        let whole = file(true);
        let entry_ends = line(&entry()).unwrap().len();
        for cut in 0..whole.len() {
            let left = understand(&whole[..cut]);
            assert_eq!(left.is_some(), cut >= entry_ends, "{cut}");
            let answer = left.and_then(|left| left.answer);
            assert!(answer.is_none_or(|answer| answer.ending == Ending::BrokenOff), "{cut}");
        }
    }

    #[test]
    fn a_spoiled_line_is_not_taken_for_one_that_was_never_written() {
        let mut spoiled = file(true);
        let sending_begins = line(&entry()).unwrap().len();
        spoiled[sending_begins] = 0;
        assert!(understand(&spoiled).is_none() && head(&spoiled).is_some());
    }

    /// As files of version 1 are, to the letter.
    pub(crate) const FIRST: &str = concat!(
        r#"{"version":1,"namespace":"n","state":"c-oauth-state","credential":"c","uid":"u","exchange":"x","#,
        r#""baseGeneration":3,"floor":3,"seed":"s","token":"t","newLineage":false,"salt":"salt","#,
        r#""request":"q","endpoint":"https://as.example","client":"c","sourceVersion":"7","#,
        r#""owners":{"namespace":""},"writeBack":false,"refreshTerms":{"lifetime":null,"idleLifetime":null},"#,
        r#""defaultLifetime":null,"responseStyle":{"accessToken":"/access_token","#,
        r#""refreshToken":"/refresh_token","tokenType":"/token_type","scope":"/scope","lifetime":"/expires_in","#,
        r#""lifetimeUnit":"Seconds","expiry":null,"refreshTokenLifetime":null,"error":"/error","fields":{},"#,
        r#""cookies":null}}"#,
        "\n",
        r#"{"sentAt":"1970-01-01T00:00:00Z"}"#,
        "\n",
        r#"{"status":200,"receivedAt":"1970-01-01T00:00:00Z","whole":true,"bytes":24}"#,
        "\n",
        r#"{"refresh_token":"abcd"}"#,
    );

    #[test]
    fn the_first_format_is_written_and_read_as_it_always_was() {
        let written = line(&entry()).unwrap();
        let first = FIRST.split_inclusive('\n').next().unwrap();
        assert_eq!(std::str::from_utf8(&written).unwrap(), first);
        let left = understand(FIRST.as_bytes()).unwrap();
        assert_eq!(left.entry.spent().token.expose(), "t");
        assert_eq!(left.answer.unwrap().body.as_slice(), br#"{"refresh_token":"abcd"}"#);
    }

    #[test]
    fn whose_exchange_it_is_can_be_read_in_every_format() {
        let of = |version, uid: &str| Head {
            version,
            namespace: "n".into(),
            credential: "c".into(),
            uid: uid.into(),
        };
        assert_eq!(head(FIRST.as_bytes()), Some(of(1, "u")));
        let later = concat!(
            r#"{"version":9,"x":[1],"credential":"c","namespace":"n","uid":"u"}"#,
            "\n\x07"
        );
        assert_eq!(head(later.as_bytes()), Some(of(9, "u")));
        assert!(of(1, "u").is_of_this_format() && !of(9, "u").is_of_this_format());
        // As it was before it had the UID, and before it had a number.
        let earlier = FIRST.replace(r#""uid":"u","#, "");
        assert_eq!(head(earlier.as_bytes()), Some(of(1, "")));
        assert_eq!(understand(earlier.as_bytes()).unwrap().entry.uid, "");
        assert_eq!(head(earlier.replace(r#""version":1,"#, "").as_bytes()), Some(of(1, "")));
        assert_eq!(head(b"not a line"), None);
    }

    #[test]
    fn a_reader_that_knows_more_fields_takes_their_defaults() {
        #[derive(Deserialize)]
        struct Later {
            #[serde(flatten)]
            entry: Entry,
            #[serde(default)]
            more: Option<String>,
        }
        let (later, _) = take_line::<Later>(FIRST.as_bytes()).unwrap();
        assert_eq!((later.entry.base_generation, later.more), (3, None));
        let shorter = FIRST.replace(r#""writeBack":false,"#, "").replace(r#""expiry":null,"#, "");
        assert_eq!(understand(shorter.as_bytes()).unwrap().entry.spent().base_generation, 3);
    }
}
