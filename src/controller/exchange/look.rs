//! What is read live before a refresh token is spent, and what forbids spending it.

use jiff::Timestamp;
use kube::Api;
use kube::api::ObjectMeta;
use uuid::Uuid;

use crate::api::{ADOPT_STATE, ALLOWED_ENDPOINTS, FINALIZER, OAuthCredential, Reason};
use crate::lifecycle::plan::Why;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::{Owners, Record, StateRecord, WRITTEN_BACK, lineage_of};
use crate::lifecycle::rotation::admission::{Circumstances, admit};
use crate::lifecycle::rotation::choice::{Seed, look_up};
use crate::lifecycle::rotation::claim::{self, judge};
use crate::lifecycle::rotation::commit::Spent;
use crate::lifecycle::rotation::exchange::{Stored, View};
use crate::lifecycle::rotation::hold::Terms;
use crate::oauth::request::TokenRequest;
use crate::oauth::secret::RefreshToken;
use crate::oauth::sent::Sent;

use crate::controller::context::Context;
use crate::controller::index::Name;
use crate::controller::notes::Note;
use crate::controller::observe::{asked_at, known_standing};
use crate::controller::secrets::{API_TIMEOUT, brief};
use crate::controller::state::{self, Place, State};
use crate::controller::{finalize, holder};

use super::attempt::{Exchange, Source};
use super::chosen::{Chosen, choose};

/// What was read.
pub struct Seen {
    /// The client.
    pub chosen: Chosen,
    /// The state.
    pub state: State,
    /// What is spent, as far as it is known before the token is chosen.
    pub spent: Spent,
    /// What the protocol turns on.
    pub view: View<RefreshToken>,
    /// When the user asked for one more try.
    pub asked_at: Option<Timestamp>,
}

impl Seen {
    /// What the answer to a request must not show.
    pub fn secrets(&self, request: Option<&TokenRequest>) -> Sent {
        let mut sent = self.chosen.secrets(request);
        sent.add_token(&self.spent.seed);
        sent
    }
}

/// Reads everything live; nothing when the credential is not the one the exchange was begun for.
///
/// # Errors
/// What forbids the exchange.
pub async fn look(exchange: &mut Exchange<'_>) -> Result<Option<Seen>, Problem> {
    let context = exchange.context;
    let Some(live) = live_credential(context, exchange.credential).await? else {
        return Ok(None);
    };
    let source = exchange.read_source().await?;
    let Some(seed) = source.content.seed().cloned() else { return Ok(None) };
    let place = Place::of(exchange.credential);
    let note = context.notes.of(exchange.credential);
    let state = state::read(&context.secrets, &place).await?.with_marks(note.marks.as_deref());
    let owners = context.homes.of(&context.secrets, &place.namespace).await?;
    let target = exchange.target().and_then(|target| target.record.as_deref().cloned());
    let asked_at = asked_at(&live, context.clock.now());
    let mark = annotation(&source.meta, WRITTEN_BACK);
    let standing = look_up(state.record.as_ref(), state.refused.as_ref(), &seed, mark, asked_at);
    let read = Read { live, source, seed, standing, state, owners, target, asked_at };
    // One that was set back is not what will be judged.
    let was_set_back =
        note.newest.as_ref().is_some_and(|newest| newest.generation > read.state.generation());
    if !was_set_back {
        judge_state(exchange, &read)?;
    }
    refuse_duplicates(context, &place, &read)?;
    note_seed(exchange, &read, &note);
    let claim = judged_claim(exchange, &read, &note).await;
    Ok(Some(seen(exchange, read, note.newest.as_deref(), claim)))
}

/// All that was read.
struct Read {
    live: ObjectMeta,
    source: Source,
    seed: RefreshToken,
    standing: Seed,
    state: State,
    owners: Owners,
    target: Option<Record>,
    asked_at: Option<Timestamp>,
}

fn seen(
    exchange: &Exchange<'_>,
    read: Read,
    newest: Option<&StateRecord>,
    claim: Option<claim::Verdict>,
) -> Seen {
    let record = read.state.record.as_ref();
    // One for all claims of a state, so that a record can tell what those that came before it were about.
    let salt = record.map(|record| record.salt.clone());
    let salt = salt.or_else(|| Some(read.state.claim.as_ref()?.salt.clone()));
    let salt = salt.unwrap_or_else(|| Uuid::new_v4().to_string());
    let chosen = choose(exchange, &read.source.content, record);
    let client = chosen.client.fingerprint(salt.as_bytes());
    let same_client = record.is_some_and(|record| {
        let mut clients = read.source.content.clients();
        clients.any(|client| client.fingerprint(salt.as_bytes()) == record.client)
    });
    let nothing_else = matches!(exchange.why, Why::StateSetBack | Why::StateEdited)
        || (exchange.why == Why::SourceChanged && same_client);
    let view = View {
        seed: read.seed.clone(),
        standing: read.standing,
        stored: record.map(stored),
        memory: newest.map(stored),
        claim,
        wanted: !nothing_else,
    };
    let spent = Spent {
        token: read.seed.clone(),
        seed: read.seed,
        new_lineage: false,
        salt,
        base_generation: read.state.generation(),
        floor: read.target.map_or(0, |target| target.revision),
        request: exchange.spec.request_digest.clone(),
        endpoint: exchange.spec.origin(),
        client,
        source_version: read.source.version,
        owners: read.owners,
        write_back: exchange.spec.source.write_back,
        refresh_terms: exchange.spec.refresh_terms,
    };
    Seen { chosen, state: read.state, spent, view, asked_at: read.asked_at }
}

/// An annotation, where there is one.
pub(super) fn annotation<'m>(meta: &'m ObjectMeta, key: &str) -> Option<&'m str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Refuses a state that does not belong here, and a seed whose state was lost.
fn judge_state(exchange: &Exchange<'_>, read: &Read) -> Result<(), Problem> {
    let Some(record) = &read.state.record else {
        if exchange.is_spent(&read.seed, read.asked_at) {
            let message = "the record in the state Secret is gone, and the refresh token in the source was spent";
            return Err(Problem::new(Reason::ReauthorizationRequired, message.to_owned()));
        }
        return Ok(());
    };
    let circumstances = Circumstances {
        credential: exchange.credential.metadata.name.as_deref().unwrap_or_default(),
        source: exchange.spec.source.name,
        here: &read.owners,
        state_uid: read.state.uid(),
        adopted: annotation(&read.live, ADOPT_STATE),
        endpoint: &exchange.spec.origin_as(&record.endpoint),
        allowed_endpoints: annotation(&read.source.meta, ALLOWED_ENDPOINTS).unwrap_or_default(),
        target: read.target.as_ref(),
        asked_at: read.asked_at,
    };
    admit(record, read.standing, &circumstances)
}

fn stored(record: &StateRecord) -> Stored<RefreshToken> {
    Stored { generation: record.generation, token: record.refresh_token.clone() }
}

/// Reads the credential's metadata; nothing when it is another one, changed, or being deleted. Makes sure that it can't go
/// without its state being dealt with.
async fn live_credential(
    context: &Context,
    credential: &OAuthCredential,
) -> Result<Option<ObjectMeta>, Problem> {
    let meta = &credential.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    let api: Api<OAuthCredential> = Api::namespaced(context.client.clone(), namespace);
    let live = match tokio::time::timeout(API_TIMEOUT, api.get_metadata_opt(name)).await {
        Ok(Ok(live)) => live,
        Ok(Err(error)) => return Err(unreadable(&brief(&error.to_string()))),
        Err(_) => return Err(unreadable("no answer from the API server")),
    };
    let live = live.map(|live| live.metadata).filter(|live| {
        live.uid == meta.uid
            && live.generation == meta.generation
            && live.deletion_timestamp.is_none()
    });
    let Some(live) = live else { return Ok(None) };
    match finalize::hold(context, &live).await {
        Ok(held) => Ok(held.then_some(live)),
        Err(why) => Err(not_kept(&why)),
    }
}

fn unreadable(why: &str) -> Problem {
    Problem::new(Reason::SourceNotReadable, format!("the credential can't be read: {why}"))
}

fn not_kept(why: &str) -> Problem {
    let message = format!("the finalizer {FINALIZER} can't be set on the credential: {why}");
    Problem::new(Reason::StateNotWritable, message)
}

/// Two credentials that spend one refresh token kill it for each other.
fn refuse_duplicates(context: &Context, place: &Place, read: &Read) -> Result<(), Problem> {
    let name: Name = (place.namespace.clone(), place.credential.clone());
    let mut tokens = vec![lineage_of(&read.seed)];
    tokens.extend(read.state.record.as_ref().map(|record| lineage_of(&record.refresh_token)));
    let other = context.index.holder_of(&tokens, &name);
    let other = other.or_else(|| context.notes.spend(&tokens, &name));
    let Some((namespace, other)) = other else { return Ok(()) };
    let message = format!(
        "the OAuthCredential {other} in namespace {namespace} spends the same refresh token"
    );
    Err(Problem::new(Reason::DuplicateRefreshToken, message))
}

/// Says once for each version of the source that an old seed was put back.
fn note_seed(exchange: &Exchange<'_>, read: &Read, note: &Note) {
    let version = read.source.version.as_str();
    let record = read.state.record.as_ref();
    let known = note.known_source.as_deref() == Some(version)
        || record.is_some_and(|record| record.source_version == version);
    if read.standing == Seed::Reverted && !known {
        exchange.context.events.seed_reverted(exchange.credential);
    }
}

/// What the claim in the state allows, if it is about the token that would be sent and means anything.
async fn judged_claim(exchange: &Exchange<'_>, read: &Read, note: &Note) -> Option<claim::Verdict> {
    let context = exchange.context;
    let record = read.state.record.as_ref();
    let newest = record.filter(|_| read.standing != Seed::New);
    let token = newest.map_or(&read.seed, |record| &record.refresh_token);
    let claim = read.state.claim.as_ref()?.about(token)?;
    let known = known_standing(context, &exchange.credential.metadata, note, claim)?;
    let standing = holder::look(context, claim, known).await;
    let header = record.map(StateRecord::header);
    let spec = exchange.spec;
    let terms = Terms::of(spec.reuse_grace, spec.renewal.earliest, header.as_ref(), read.asked_at);
    Some(judge(claim, standing, &terms, context.clock.now()))
}
