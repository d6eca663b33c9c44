//! The grant that spends a refresh token: claim, send, journal, commit, and only then the target.

use jiff::Timestamp;
use kube::Api;
use uuid::Uuid;

use crate::api::{OAuthCredential, Reason};
use crate::lifecycle::plan::Why;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::Record;
use crate::lifecycle::render::Tokens;
use crate::lifecycle::resolve::SourceContent;
use crate::lifecycle::rotation::{self, Choice, Lifespan, RefusedSeed, Spent};
use crate::oauth::client_auth::ClientAuth;
use crate::oauth::error::TokenError;
use crate::oauth::request::GrantInput;
use crate::oauth::response::{RawResponse, TokenSet, parse};
use crate::oauth::secret::RefreshToken;

use crate::controller::context::Context;
use crate::controller::journal::{Entry, Slot};
use crate::controller::secrets::{API_TIMEOUT, WriteError, brief};
use crate::controller::state::{self, Owner, Place, Release, State};

use super::attempt::{End, Exchange};

/// Everything that must be known before a token is spent, all of it read live.
struct Ready {
    client: ClientAuth,
    stored: Option<State>,
    spent: Spent,
}

/// One exchange.
///
/// # Errors
/// What kept a token set from being had or from reaching the target.
pub async fn spend(exchange: &mut Exchange<'_>) -> Result<End, Problem> {
    if !is_current(exchange.context, exchange.credential).await? {
        return Ok(End::Stale);
    }
    let (content, source_version) = exchange.read_source().await?;
    let stored = state::read(exchange.context, exchange.credential).await?;
    let claim = stored.as_ref().and_then(|state| state.claim.as_ref());
    let holder = &exchange.context.holder;
    if let Some(until) =
        claim.and_then(|claim| rotation::respected_until(claim, holder, Timestamp::now()))
    {
        return Ok(End::Claimed { until });
    }
    let before = stored.as_ref().and_then(|state| state.record.clone());
    let Some(spent) = choose(exchange, &content, stored.as_ref(), source_version)? else {
        return Ok(End::SourceIsKnown);
    };
    let client = spent.client.clone();
    let ready = Ready { client: content.client, stored, spent };
    let Some((set, lifespan, record)) = redeem_claimed(exchange, ready).await? else {
        return Ok(End::Stale);
    };
    let before = before.map(|before| before.header());
    let tokens = Tokens::from_set(&set, lifespan.expires_at);
    exchange.hand_over(&tokens, &record, before.as_ref()).await?;
    Ok(End::Stored { set, lifespan, client })
}

/// Chooses the token to spend; none when the exchange was begun for a change of the source that changes nothing.
fn choose(
    exchange: &Exchange<'_>,
    content: &SourceContent,
    stored: Option<&State>,
    source_version: String,
) -> Result<Option<Spent>, Problem> {
    let record = stored.and_then(|state| state.record.as_ref());
    let refused = stored.and_then(|state| state.refused.as_ref());
    let Some(seed) = content.seed.clone() else { return Ok(None) };
    let salt = record.map_or_else(|| Uuid::new_v4().to_string(), |record| record.salt.clone());
    let client = content.client.fingerprint(salt.as_bytes());
    let (token, new_lineage) = match rotation::choose(record, refused, &seed) {
        Choice::Newest(token) => (token, false),
        Choice::Seed(_) if record.is_none() && exchange.is_spent(&source_version) => {
            let message = "the record in the state Secret is gone, and the refresh token in the source was spent";
            return Err(Problem::new(Reason::ReauthorizationRequired, message.to_owned()));
        }
        Choice::Seed(token) => (token, true),
        Choice::Dead => {
            let source = exchange.spec.source.name;
            let message = format!(
                "the refresh token in the source Secret {source} is one the authorization server called invalid"
            );
            return Err(Problem::new(Reason::ReauthorizationRequired, message));
        }
    };
    let same_client = record.is_some_and(|record| record.client == client);
    if exchange.why == Why::SourceChanged && same_client && !new_lineage {
        return Ok(None);
    }
    let request = exchange.spec.request_digest.clone();
    let base_generation = stored.map_or(0, State::generation);
    Ok(Some(Spent {
        seed,
        token,
        new_lineage,
        salt,
        base_generation,
        request,
        client,
        source_version,
    }))
}

/// From the claim to the commit; nothing when somebody else changed the state first or nothing may be sent any more.
async fn redeem_claimed(
    exchange: &mut Exchange<'_>,
    ready: Ready,
) -> Result<Option<(TokenSet, Lifespan, Record)>, Problem> {
    let (context, credential) = (exchange.context, exchange.credential);
    let Ready { client, stored, spent } = ready;
    let id = Uuid::new_v4().to_string();
    let holder = context.holder.clone();
    let claim = rotation::claim(id.clone(), &spent.token, &spent.salt, holder, Timestamp::now());
    let claimed = match state::claim(context, credential, stored.as_ref(), claim).await {
        Ok(claimed) => claimed,
        Err(WriteError::Conflict | WriteError::NotFound) => return Ok(None),
        Err(error) => return Err(state::unwritable(&Place::of(credential), &error)),
    };
    let journal = match open_journal(context, &id).await {
        Ok(journal) if context.may_send() => journal,
        refused => {
            state::release(context, credential, &claimed, &Release::Kept).await;
            discard(refused?).await;
            return Ok(None);
        }
    };
    let sent_at = Timestamp::now();
    exchange.trace.sent_at = Some(sent_at);
    let answer = send(exchange, &client, &spent, &id, sent_at, journal.as_ref()).await;
    let set = match answer.and_then(|raw| parse(&raw, true)) {
        Ok(set) => set,
        Err(error) => {
            let problem = exchange.problem(&error);
            let release = refusal(context, credential, &problem, &spent);
            state::release(context, credential, &claimed, &release).await;
            discard(journal).await;
            return Err(problem);
        }
    };
    let lifespan = rotation::lifespan(&set, sent_at, exchange.spec.default_lifetime);
    let record = rotation::commit(claimed.record.as_ref(), &spent, &set, lifespan);
    if record.rotated_at == Some(lifespan.issued_at) {
        context.metrics.rotated();
    }
    let (place, owner) = (Place::of(credential), Owner::of(credential));
    if let Some(meta) = state::commit(&context.secrets, &place, &owner, claimed, &record).await {
        context.wake_others(context.index.saw_secret(&meta), credential);
    }
    discard(journal).await;
    Ok(Some((set, lifespan, record.header())))
}

/// Sends the request and journals the answer before anything else is done with it.
async fn send(
    exchange: &Exchange<'_>,
    client: &ClientAuth,
    spent: &Spent,
    id: &str,
    sent_at: Timestamp,
    journal: Option<&Slot>,
) -> Result<RawResponse, TokenError> {
    let grant = GrantInput::RefreshToken(RefreshToken::new(spent.token.expose()));
    let request = exchange.spec.request(client, &grant);
    let raw = exchange.send(&request).await?;
    if let Some(slot) = journal {
        let (place, owner) = (Place::of(exchange.credential), Owner::of(exchange.credential));
        let lifetime = exchange.spec.default_lifetime;
        let entry = Entry::new(&place, &owner, id, spent, &raw, sent_at, lifetime);
        if let Err(error) = slot.write(&entry).await {
            tracing::error!(%error, "answer not journaled; it is kept in memory until it is committed");
        }
    }
    Ok(raw)
}

async fn open_journal(context: &Context, exchange: &str) -> Result<Option<Slot>, Problem> {
    let Some(journal) = &context.journal else { return Ok(None) };
    let opened = journal.open(exchange).await.map(Some);
    opened.map_err(|error| {
        Problem::new(Reason::StateNotWritable, format!("the journal can't be written: {error}"))
    })
}

async fn discard(journal: Option<Slot>) {
    if let Some(slot) = journal {
        slot.discard().await;
    }
}

/// What a refusal does to the state: the second one in a row is believed.
fn refusal(
    context: &Context,
    credential: &OAuthCredential,
    problem: &Problem,
    spent: &Spent,
) -> Release {
    let generation = credential.metadata.generation.unwrap_or_default();
    let again = context.notes.of(credential).failure.is_some_and(|before| {
        before.reason == Reason::RefreshTokenRejected
            && before.is_about(generation, Some(&spent.source_version))
    });
    if again && problem.reason == Reason::RefreshTokenRejected {
        Release::Refused {
            seed: RefusedSeed::of(&spent.seed, &spent.salt),
            source_version: spent.source_version.clone(),
        }
    } else {
        Release::Kept
    }
}

/// Whether the credential is still the one the exchange was begun for: read live, since something is about to be spent.
async fn is_current(context: &Context, credential: &OAuthCredential) -> Result<bool, Problem> {
    let meta = &credential.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let api: Api<OAuthCredential> = Api::namespaced(context.client.clone(), namespace);
    let read = api.get_metadata_opt(meta.name.as_deref().unwrap_or_default());
    let live = match tokio::time::timeout(API_TIMEOUT, read).await {
        Ok(Ok(live)) => live,
        Ok(Err(error)) => return Err(unreadable(&brief(&error.to_string()))),
        Err(_) => return Err(unreadable("no answer from the API server")),
    };
    Ok(live.is_some_and(|live| {
        live.metadata.uid == meta.uid
            && live.metadata.generation == meta.generation
            && live.metadata.deletion_timestamp.is_none()
    }))
}

fn unreadable(why: &str) -> Problem {
    Problem::new(Reason::SourceNotReadable, format!("the credential can't be read: {why}"))
}
