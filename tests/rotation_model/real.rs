//! The operator's own rules, asked about the model's abstract facts. What they say is remembered: they are pure.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;
use oauth_keeper::lifecycle::record::{self, Owners, StateRecord, lineage_of};
use oauth_keeper::lifecycle::rotation::admission;
use oauth_keeper::lifecycle::rotation::answer::Answer as RealAnswer;
use oauth_keeper::lifecycle::rotation::choice::{RefusedSeed, Seed, look_up as look_seed_up};
use oauth_keeper::lifecycle::rotation::claim::{
    Claim as RealClaim, Holder, Standing, Verdict, judge as judge_claim,
};
use oauth_keeper::lifecycle::rotation::commit::{RefreshTerms, Spent, outdating};
use oauth_keeper::lifecycle::rotation::hold::{Terms, Unresolved};
use oauth_keeper::lifecycle::rotation::replay::{
    Settlement as RealSettlement, Unfinished, settle as settle_left,
};
use oauth_keeper::oauth::error::{Side, TokenError};
use oauth_keeper::oauth::response::{Lifetime, TokenSet};
use oauth_keeper::oauth::secret::{AccessToken, RefreshToken};

use crate::process::Entry;
use crate::server::Answer;
use crate::world::{Claim, Record, SEEDS, Secret, Token, family};

/// When every token is sent; what comes later is said by the facts of a claim.
pub const SENT_AT: Timestamp = Timestamp::UNIX_EPOCH;
const SALT: &str = "salt";
const EXPIRES_AT: i64 = 100_000;
/// A window long enough for the patience with a living holder to end before it.
const WINDOW: Duration = Duration::from_secs(1000);

/// What is said of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// How long the server accepts a token it has replaced, if anybody knows.
    pub reuse_grace: Option<bool>,
    /// Whether the server was seen to rotate, or nothing was seen of it.
    pub rotates: bool,
    /// The claim.
    pub claim: Claim,
    /// Its holder will never finish.
    pub holder_is_dead: bool,
    /// Patience with it has run out.
    pub outwaited: bool,
    /// The hold is over.
    pub hold_is_over: bool,
}

/// What is done with an entry of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// Nothing.
    Nothing,
    /// This is written.
    Commit(Record),
    /// The claim goes.
    Free,
    /// The claim stays as a mark.
    Mark(Unresolved),
}

macro_rules! remembered {
    ($key:ty => $value:ty, $input:expr, $compute:expr) => {{
        thread_local!(static KNOWN: RefCell<HashMap<$key, $value>> = RefCell::default());
        recall(&KNOWN, $input, $compute)
    }};
}

fn recall<K: Hash + Eq + Clone, V: Clone>(
    known: &'static std::thread::LocalKey<RefCell<HashMap<K, V>>>,
    key: K,
    compute: impl FnOnce(&K) -> V,
) -> V {
    if let Some(value) = known.with_borrow(|known| known.get(&key).cloned()) {
        return value;
    }
    let value = compute(&key);
    known.with_borrow_mut(|known| known.insert(key, value.clone()));
    value
}

/// What a claim allows.
pub fn judge(facts: Facts) -> Verdict {
    remembered!(Facts => Verdict, facts, |facts| {
        let in_window = facts.reuse_grace == Some(true) && facts.claim.window_is_open;
        // Late enough in the window for each early try to be due; else after it; else after the hold.
        let now = match (facts.hold_is_over, in_window) {
            (_, true) => 790,
            (false, false) => 1000,
            (true, false) => EXPIRES_AT - 10,
        };
        // Patience lasts 130 s at least.
        let first_seen = at(if facts.outwaited { 0 } else { now - 10 });
        let standing =
            if facts.holder_is_dead { Standing::Dead } else { Standing::Alive { first_seen } };
        let terms = Terms {
            reuse_grace: facts.reuse_grace.map(|some| if some { WINDOW } else { Duration::ZERO }),
            rotates: facts.rotates,
            access_issued_at: Some(SENT_AT),
            access_expires_at: Some(at(EXPIRES_AT)),
            refresh_life: None,
            earliest: None,
            asked_at: None,
        };
        judge_claim(&real_claim(&facts.claim), standing, &terms, at(now))
    })
}

/// What a seed is to the state.
pub fn look_up(secret: &Secret, seed: Token) -> Seed {
    remembered!((Option<Record>, Option<Token>, Token) => Seed, (secret.record, secret.refused, seed), |key| {
        let (record, refused, seed) = *key;
        let refused = refused.map(|seed| RefusedSeed::of(&refresh(seed), &refresh(seed), SALT, SENT_AT));
        look_seed_up(record.map(real_record).as_ref(), refused.as_ref(), &refresh(seed), None, None)
    })
}

/// Whether a state is older than what the target tells of.
pub fn is_outdated(generation: u8, target: (u8, u8)) -> bool {
    remembered!((u8, (u8, u8)) => bool, (generation, target), |key| {
        let (generation, (revision, lineage)) = *key;
        let record = Record { generation: revision, token: 0, exchange: 0, seeds: 1, lineage };
        let header = record::Record { rotations: i64::from(revision), ..real_record(record).header() };
        admission::is_outdated(i64::from(generation), &header, None)
    })
}

/// The record with the answer of an exchange, on top of what the state holds.
pub fn commit(secret: &Secret, entry: Entry) -> Option<Record> {
    let key = (secret.record, secret.claim, entry);
    remembered!((Option<Record>, Option<Claim>, Entry) => Option<Record>, key, |key| {
        let (base, claim, entry) = *key;
        let answer = real_answer(&entry)?;
        let base = base.map(real_record);
        let record = answer.record(base.as_ref(), &spent(&entry), SENT_AT, None)?;
        let claim = claim.map(|claim| real_claim(&claim));
        Some(abstracted(&outdating(record, claim.as_ref(), &entry.exchange.to_string())))
    })
}

/// What is to be done with an entry of the journal.
pub fn settle(entry: Entry, secret: &Secret) -> Settlement {
    let key = (entry, secret.record, secret.claim);
    remembered!((Entry, Option<Record>, Option<Claim>) => Settlement, key, |key| {
        let (entry, record, claim) = *key;
        let (spent, answer) = (spent(&entry), real_answer(&entry));
        let exchange = entry.exchange.to_string();
        let unfinished = Unfinished {
            exchange: &exchange,
            spent: &spent,
            sent_at: entry.sent.then_some(SENT_AT),
            answer: answer.as_ref(),
            default_lifetime: None,
        };
        let generation = record.map_or(0, |record| record.generation);
        let (record, claim) = (record.map(real_record), claim.map(|claim| real_claim(&claim)));
        match settle_left(&unfinished, record.as_ref(), claim.as_ref(), i64::from(generation)) {
            RealSettlement::Nothing => Settlement::Nothing,
            RealSettlement::Commit(record) => Settlement::Commit(abstracted(&record)),
            RealSettlement::Free => Settlement::Free,
            RealSettlement::Mark(claim) => Settlement::Mark(claim.unresolved.unwrap()),
        }
    })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn refresh(token: Token) -> RefreshToken {
    RefreshToken::new(token.to_string())
}

fn spent(entry: &Entry) -> Spent {
    Spent {
        seed: refresh(entry.seed),
        token: refresh(entry.token),
        new_lineage: entry.new_lineage,
        salt: SALT.to_owned(),
        base_generation: i64::from(entry.base_generation),
        floor: i64::from(entry.floor),
        request: String::new(),
        endpoint: String::new(),
        client: String::new(),
        source_version: (family(entry.seed) + 1).to_string(),
        owners: Owners::default(),
        write_back: false,
        refresh_terms: RefreshTerms::default(),
    }
}

fn real_answer(entry: &Entry) -> Option<RealAnswer> {
    Some(match entry.answer? {
        Answer::Granted(successor) => RealAnswer::Granted(Box::new(TokenSet {
            access_token: AccessToken::new(entry.exchange.to_string()),
            token_type: "Bearer".to_owned(),
            lifetime: Lifetime::Missing,
            refresh_token: successor.map(refresh),
            scopes: Vec::new(),
            refresh_token_lifetime: Lifetime::Missing,
            fields: BTreeMap::new(),
            left_out: Vec::new(),
        })),
        Answer::Kept => RealAnswer::Kept(TokenError::OutcomeUnknown(String::new(), Side::Server)),
        Answer::Rejected => {
            RealAnswer::Rejected(TokenError::OutcomeUnknown(String::new(), Side::Server))
        }
        Answer::Unknown => {
            RealAnswer::Unknown(TokenError::OutcomeUnknown(String::new(), Side::Server))
        }
    })
}

fn real_claim(claim: &Claim) -> RealClaim {
    RealClaim {
        exchange: claim.exchange.to_string(),
        token: record::seed_hash(SALT, &refresh(claim.token)),
        salt: SALT.to_owned(),
        holder: Holder {
            pod: claim.holder.to_string(),
            name: None,
            namespace: None,
            incarnation: String::new(),
        },
        term: 0,
        started_at: SENT_AT,
        unresolved: claim.unresolved,
        over: claim.over,
        why: None,
        not_before: None,
        displaced: claim.displaced.map(|displaced| Box::new(real_claim(&displaced.claim()))),
        source_version: String::new(),
    }
}

/// A record as the operator writes it.
fn real_record(record: Record) -> StateRecord {
    let mut known: Vec<_> =
        (0..SEEDS.len()).filter(|family| record.seeds & (1 << family) != 0).collect();
    known.sort_by_key(|family| *family == usize::from(record.lineage));
    let seeds = known.iter().map(|family| record::seed_hash(SALT, &refresh(SEEDS[*family])));
    StateRecord {
        version: record::VERSION,
        generation: i64::from(record.generation),
        refresh_token: refresh(record.token),
        access_token: AccessToken::new(record.exchange.to_string()),
        token_type: "Bearer".to_owned(),
        scopes: Vec::new(),
        fields: BTreeMap::new(),
        refresh_token_since: None,
        refresh_life: None,
        seed_since: None,
        refresh_ends_at: None,
        issued_at: SENT_AT,
        expires_at: None,
        salt: SALT.to_owned(),
        seeds: seeds.collect(),
        lineage: lineage_of(&refresh(SEEDS[usize::from(record.lineage)])),
        written_back: Vec::new(),
        rotations: 0,
        rotated_at: None,
        request: String::new(),
        endpoint: String::new(),
        client: String::new(),
        source_version: (record.lineage + 1).to_string(),
        owners: Owners::default(),
    }
}

/// The other way round.
fn abstracted(record: &StateRecord) -> Record {
    let seeds = SEEDS.iter().enumerate().filter(|(_, seed)| record.knows(&refresh(**seed)));
    let lineage =
        SEEDS.iter().position(|seed| lineage_of(&refresh(*seed)) == record.lineage).unwrap();
    Record {
        generation: u8::try_from(record.generation).unwrap(),
        token: record.refresh_token.expose().parse().unwrap(),
        exchange: record.access_token.expose().parse().unwrap(),
        seeds: seeds.map(|(family, _)| 1 << family).sum(),
        lineage: u8::try_from(lineage).unwrap(),
    }
}
