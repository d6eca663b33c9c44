//! What the operator remembers of a token set, and where: in annotations what is no secret, on the state Secret for grants
//! that spend a refresh token and on the target for the others; in the state Secret's data all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::Reason;
use crate::oauth::fingerprint::fingerprint;
use crate::oauth::secret::{AccessToken, KeptText, RefreshToken};

use super::problem::Problem;
use super::schedule::minus;

/// Annotation with the name of the credential that a target or state Secret was made for.
pub const CREDENTIAL: &str = "oauth-keeper.dev/credential";
/// Annotation that counts the token sets.
pub const REVISION: &str = "oauth-keeper.dev/revision";
/// Annotation with the time of the token request.
pub const ISSUED_AT: &str = "oauth-keeper.dev/issued-at";
/// Annotation with the access token's expiry; absent when nobody knows it.
pub const EXPIRES_AT: &str = "oauth-keeper.dev/expires-at";
const REQUEST: &str = "oauth-keeper.dev/request";
/// Annotation with the `resourceVersion` of the source that the token was asked for with.
pub const SOURCE_VERSION: &str = "oauth-keeper.dev/source-version";
/// Annotation with [`lineage_of`] the seed that the token set goes back to.
pub const LINEAGE: &str = "oauth-keeper.dev/lineage";
const SCOPES: &str = "oauth-keeper.dev/scopes";
const ROTATIONS: &str = "oauth-keeper.dev/rotations";
const ROTATED_AT: &str = "oauth-keeper.dev/rotated-at";
const REFRESH_LIFE: &str = "oauth-keeper.dev/refresh-token-life";
const FIELDS: &str = "oauth-keeper.dev/fields";
/// Annotation of a state whose refresh token is dead: the version of the source that held its seed.
pub const REFUSED_SOURCE: &str = "oauth-keeper.dev/refused-source";
/// Annotation of a state whose refresh token is dead: since when that is believed.
pub const REFUSED_AT: &str = "oauth-keeper.dev/refused-at";
/// Annotation of a state: the claim that stands in its data, as JSON, so that it can be seen without reading the Secret.
pub const CLAIM: &str = "oauth-keeper.dev/claim";
/// Annotation of a state: [`lineage_of`] its newest refresh token, or of the one being spent.
pub const HOLDS: &str = "oauth-keeper.dev/holds";

/// Annotation of a source that a rotated token was written into: [`StateRecord::written_back_mark`].
pub const WRITTEN_BACK: &str = "oauth-keeper.dev/written-back";

/// The format of [`StateRecord`].
pub const VERSION: u32 = 1;
/// How many seeds are remembered.
const MAX_SEEDS: usize = 8;

/// What can be known of a token set without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts the token sets.
    pub revision: i64,
    /// When it was requested.
    pub issued_at: Timestamp,
    /// When the access token expires, if anybody knows.
    pub expires_at: Option<Timestamp>,
    /// [`super::resolve::Resolved::request_digest`] of its request.
    pub request: String,
    /// `resourceVersion` of the source it was requested with.
    pub source_version: String,
    /// Granted scopes, as far as the server named them.
    pub scopes: Vec<String>,
    /// [`lineage_of`] the seed; none for grants without one.
    pub lineage: Option<String>,
    /// How often the refresh token was rotated since the seed.
    pub rotations: i64,
    /// When last.
    pub rotated_at: Option<Timestamp>,
    /// The life of the refresh token, as far as anybody tells.
    pub refresh_life: Option<Life>,
    /// Keys of what is kept of the response besides the token.
    pub fields: Vec<String>,
}

/// The life of a refresh token. In annotations an interval of ISO 8601.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Since when it is counted.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

impl Life {
    /// From then on its end is near: its last tenth, and at most a week.
    pub fn is_near_from(self) -> Timestamp {
        self.last_part(WEEK)
    }

    /// When its last tenth begins, which is taken to be no longer than so much.
    pub fn last_part(self, most: Duration) -> Timestamp {
        let whole = Duration::try_from(self.until.duration_since(self.since)).unwrap_or_default();
        minus(self.until, (whole / 10).min(most))
    }

    fn parse(text: &str) -> Option<Self> {
        let (since, until) = text.split_once('/')?;
        Some(Self { since: since.parse().ok()?, until: until.parse().ok()? })
    }
}

impl std::fmt::Display for Life {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}/{}", self.since, self.until)
    }
}

const WEEK: Duration = Duration::from_secs(7 * 86_400);

impl Record {
    /// Reads the annotations; nothing when they are not those of a record.
    pub fn from_annotations(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let text = |key: &str| annotations.get(key).map(String::as_str);
        let time = |key: &str| text(key).map(str::parse::<Timestamp>).transpose().ok();
        let words = |key: &str| {
            let words = text(key).unwrap_or_default().split_ascii_whitespace();
            words.map(ToOwned::to_owned).collect()
        };
        Some(Self {
            revision: text(REVISION)?.parse().ok()?,
            issued_at: time(ISSUED_AT)??,
            expires_at: time(EXPIRES_AT)?,
            request: text(REQUEST)?.to_owned(),
            source_version: text(SOURCE_VERSION)?.to_owned(),
            scopes: words(SCOPES),
            lineage: text(LINEAGE).map(ToOwned::to_owned),
            rotations: text(ROTATIONS).map_or(Some(0), |text| text.parse().ok())?,
            rotated_at: time(ROTATED_AT)?,
            refresh_life: text(REFRESH_LIFE).and_then(Life::parse),
            fields: words(FIELDS),
        })
    }

    /// Writes the annotations. Absent ones are given as `None`, so that a merge patch removes them.
    pub fn to_annotations(&self) -> BTreeMap<String, Option<String>> {
        let rotated = self.rotations > 0;
        [
            (REVISION, Some(self.revision.to_string())),
            (ISSUED_AT, Some(self.issued_at.to_string())),
            (EXPIRES_AT, self.expires_at.map(|time| time.to_string())),
            (REQUEST, Some(self.request.clone())),
            (SOURCE_VERSION, Some(self.source_version.clone())),
            (SCOPES, (!self.scopes.is_empty()).then(|| self.scopes.join(" "))),
            (LINEAGE, self.lineage.clone()),
            (ROTATIONS, rotated.then(|| self.rotations.to_string())),
            (ROTATED_AT, self.rotated_at.filter(|_| rotated).map(|time| time.to_string())),
            (REFRESH_LIFE, self.refresh_life.map(|life| life.to_string())),
            (FIELDS, (!self.fields.is_empty()).then(|| self.fields.join(" "))),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// Whether the access token is known to be good for a while.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| now < expires_at)
    }
}

/// The whole record, as the state Secret keeps it under `record`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateRecord {
    /// The format, so that a later one is refused and not misread.
    pub version: u32,
    /// Counts the commits; also the revision of the token set.
    pub generation: i64,
    /// The newest refresh token.
    #[serde(serialize_with = "write_refresh", deserialize_with = "read_refresh")]
    pub refresh_token: RefreshToken,
    /// The access token that came with it.
    #[serde(serialize_with = "write_access", deserialize_with = "read_access")]
    pub access_token: AccessToken,
    /// Its type.
    pub token_type: String,
    /// Its scopes, as far as the server named them.
    pub scopes: Vec<String>,
    /// What else of the response workloads need, by its key in the target.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "write_kept",
        deserialize_with = "read_kept"
    )]
    pub fields: BTreeMap<String, KeptText>,
    /// Since when there is this refresh token: when it came, or a seed was first used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_since: Option<Timestamp>,
    /// When the newest seed was first used; none in a state that an earlier release wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed_since: Option<Timestamp>,
    /// Its life, as far as anybody tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_life: Option<Life>,
    /// When it ends however often it is used, as far as the server says: [`Self::refresh_life`] may end earlier, unused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_ends_at: Option<Timestamp>,
    /// When it was requested.
    pub issued_at: Timestamp,
    /// When it expires, if anybody knows.
    pub expires_at: Option<Timestamp>,
    /// Salt of the hashes, random for each state.
    pub salt: String,
    /// Hashes of the seeds that were in the source, newest last.
    pub seeds: Vec<String>,
    /// [`lineage_of`] the newest seed.
    pub lineage: String,
    /// Hashes of rotated tokens that may stand in the source, since they were written back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written_back: Vec<String>,
    /// Rotations since the newest seed.
    pub rotations: i64,
    /// When last.
    pub rotated_at: Option<Timestamp>,
    /// Digest of the request.
    pub request: String,
    /// Origin of the token endpoint that these tokens are for.
    pub endpoint: String,
    /// Fingerprint of the client.
    pub client: String,
    /// `resourceVersion` of the source.
    pub source_version: String,
    /// Where this state belongs.
    pub owners: Owners,
}

/// Where a state belongs: two clusters that spend one refresh token kill it for both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owners {
    /// UID of the namespace `kube-system`, which tells clusters apart; none when it may not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// UID of the namespace.
    pub namespace: String,
}

impl Owners {
    /// Whether a state of `self` may be used where `here` is.
    pub fn are_at_home(&self, here: &Self) -> bool {
        let same_cluster = self.cluster.is_some() && self.cluster == here.cluster;
        same_cluster || self.namespace == here.namespace
    }
}

impl StateRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// `StateInvalid`; the text repeats nothing of the content.
    pub fn parse(bytes: &[u8], secret: &str) -> Result<Self, Problem> {
        let invalid = |what: String| {
            Problem::new(
                Reason::StateInvalid,
                format!("the record in the state Secret {secret} {what}"),
            )
        };
        let record: Self = serde_json::from_slice(bytes).map_err(|error| {
            invalid(format!("can't be read (line {}, column {})", error.line(), error.column()))
        })?;
        if record.version > VERSION {
            return Err(invalid(format!(
                "has version {}, which a later oauth-keeper wrote",
                record.version
            )));
        }
        Ok(record)
    }

    /// What of it goes into annotations.
    pub fn header(&self) -> Record {
        Record {
            revision: self.generation,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            request: self.request.clone(),
            source_version: self.source_version.clone(),
            scopes: self.scopes.clone(),
            lineage: Some(self.lineage.clone()),
            rotations: self.rotations,
            rotated_at: self.rotated_at,
            refresh_life: self.refresh_life,
            fields: self.fields.keys().cloned().collect(),
        }
    }

    /// Whether a seed was in the source before.
    pub fn knows(&self, seed: &RefreshToken) -> bool {
        self.seeds.contains(&seed_hash(&self.salt, seed))
    }

    /// Whether a seed is of no use any more: it was in the source before, or a later source was read since.
    pub fn outdates(&self, seed: &RefreshToken, source_version: &str) -> bool {
        let number = |version: &str| version.parse::<u64>().ok();
        self.knows(seed)
            || number(&self.source_version)
                .zip(number(source_version))
                .is_some_and(|(read, of_seed)| read > of_seed)
    }

    /// Whether a seed is the one that the lineage began with, or the newest token itself, or one that was written back.
    pub fn is_current(&self, seed: &RefreshToken) -> bool {
        let hash = seed_hash(&self.salt, seed);
        self.seeds.last() == Some(&hash)
            || self.written_back.contains(&hash)
            || self.refresh_token == *seed
    }

    /// Notes that the newest token goes into the source, where this seed stood.
    pub(super) fn remember_written_back(&mut self, seed: &RefreshToken) {
        for token in [seed, &self.refresh_token.clone()] {
            let hash = seed_hash(&self.salt, token);
            self.written_back.retain(|known| *known != hash);
            self.written_back.push(hash);
        }
        let excess = self.written_back.len().saturating_sub(MAX_SEEDS);
        self.written_back.drain(..excess);
    }

    /// What is noted at a source that the newest token was written into, so that it is known for an old one when it comes
    /// back from a backup, however many came after it. A copy of the state that is older than the token does not know it.
    pub fn written_back_mark(&self) -> String {
        format!("{}/{}", self.generation, seed_hash(&self.salt, &self.refresh_token))
    }

    /// Whether a seed was written into the source before the newest token came, as the mark there says.
    pub fn wrote_before(&self, seed: &RefreshToken, mark: Option<&str>) -> bool {
        mark.and_then(|mark| mark.split_once('/')).is_some_and(|(generation, hash)| {
            generation.parse().is_ok_and(|generation: i64| generation < self.generation)
                && hash == seed_hash(&self.salt, seed)
        })
    }

    /// Adds the hash of a token that is older than the newest seed.
    pub(super) fn outdate(&mut self, hash: &str) {
        if !self.seeds.iter().any(|known| known == hash) {
            self.seeds.insert(self.seeds.len().saturating_sub(1), hash.to_owned());
            let excess = self.seeds.len().saturating_sub(MAX_SEEDS);
            self.seeds.drain(..excess);
        }
    }

    /// Adds a seed, and forgets the oldest beyond eight.
    pub(super) fn remember(&mut self, seed: &RefreshToken) {
        self.lineage = lineage_of(seed);
        let hash = seed_hash(&self.salt, seed);
        self.seeds.retain(|known| *known != hash);
        self.seeds.push(hash);
        let excess = self.seeds.len().saturating_sub(MAX_SEEDS);
        self.seeds.drain(..excess);
    }
}

/// Salted hash of a refresh token.
pub fn seed_hash(salt: &str, token: &RefreshToken) -> String {
    fingerprint(salt.as_bytes(), &[token.expose()])
}

/// A name for a refresh token that tells nothing of it, the same in every Secret: two credentials with one token show by
/// it. Whoever may read it may read the token beside it.
pub fn lineage_of(token: &RefreshToken) -> String {
    fingerprint(b"lineage", &[token.expose()])
}

// The only place where tokens are serialized: into the state Secret's own record.

fn write_refresh<S: Serializer>(token: &RefreshToken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

fn read_refresh<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RefreshToken, D::Error> {
    String::deserialize(deserializer).map(RefreshToken::new)
}

fn write_access<S: Serializer>(token: &AccessToken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

fn read_access<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccessToken, D::Error> {
    String::deserialize(deserializer).map(AccessToken::new)
}

fn write_kept<S: Serializer>(
    fields: &BTreeMap<String, KeptText>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(key, text)| (key, text.expose())))
}

fn read_kept<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, KeptText>, D::Error> {
    let fields = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(fields.into_iter().map(|(key, text)| (key, KeptText::new(text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            revision: 3,
            issued_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            expires_at: None,
            request: "r".into(),
            source_version: "7".into(),
            scopes: vec!["a".into(), "b".into()],
            lineage: Some("l".into()),
            rotations: 2,
            rotated_at: Some("2026-01-02T03:04:06Z".parse().unwrap()),
            refresh_life: Life::parse("2026-01-02T03:04:06Z/2026-04-02T03:04:06Z"),
            fields: vec!["instance_url".into()],
        }
    }

    #[test]
    fn what_is_written_into_annotations_is_read_back() {
        let written: BTreeMap<String, String> = record()
            .to_annotations()
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        assert_eq!(Record::from_annotations(&written), Some(record()));
    }

    #[test]
    fn spoiled_annotations_are_no_record() {
        for key in [REVISION, ISSUED_AT, REQUEST, SOURCE_VERSION] {
            let mut written: BTreeMap<String, String> = record()
                .to_annotations()
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)))
                .collect();
            written.remove(key);
            assert_eq!(Record::from_annotations(&written), None, "{key}");
        }
    }

    #[test]
    fn a_spoiled_record_is_refused_without_repeating_it() {
        let problem =
            StateRecord::parse(br#"{"version":1,"generation":"canary"}"#, "s").unwrap_err();
        assert_eq!(problem.reason, Reason::StateInvalid);
        assert!(!problem.message.contains("canary"), "{}", problem.message);
    }
}
