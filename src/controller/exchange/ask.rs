//! The grants that spend nothing: ask, write the target.

use std::time::Instant;

use crate::api::Reason;
use crate::lifecycle::plan::Why;
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::Record;
use crate::lifecycle::render::Tokens;
use crate::lifecycle::rotation::commit::lifespan;
use crate::oauth::response::parse_hiding;

use crate::controller::target;

use super::attempt::{End, Exchange};
use super::chosen::choose;
use super::mint::mint;

/// One exchange.
///
/// # Errors
/// What kept a token set from being had or from reaching the target.
pub async fn ask(exchange: &mut Exchange<'_>) -> Result<End, Problem> {
    let (context, spec) = (exchange.context, exchange.spec);
    let source = exchange.read_source().await?;
    let (mut content, source_version) = (source.content, source.version);
    let uid = exchange.credential.metadata.uid.as_deref().unwrap_or_default();
    let chosen = choose(exchange, &content, None);
    let digest = |client| content.input.fingerprint(client, uid.as_bytes());
    let client = digest(&chosen.client);
    let known = context.notes.of(exchange.credential).client;
    let is_known = known.is_some_and(|known| content.clients().any(|one| digest(one) == known));
    if exchange.why == Why::SourceChanged && is_known {
        target::note_source(context, exchange.credential, &source_version).await;
        return Ok(End::SourceIsKnown);
    }
    if !context.may_send() {
        return Ok(End::Stale);
    }
    mint(exchange, &mut content.input).await?;
    let request = spec.request(&chosen.client, &content.input, || context.stamp());
    let request = request.map_err(|error| exchange.problem(&error))?;
    let (sent_at, begun) = (context.clock.now(), Instant::now());
    exchange.trace.sent_at = Some(sent_at);
    let answer = context.transport.send(&request).await;
    let took = begun.elapsed();
    context.metrics.token_request_took(took);
    exchange.slot.saw(&answer, took);
    let secrets = chosen.secrets(Some(&request));
    let read = answer.and_then(|raw| parse_hiding(&raw, &spec.response, false, &secrets));
    exchange.slot.was_read(read.as_ref().err());
    let set = match read {
        Ok(set) => set,
        Err(error) => {
            let problem = exchange.problem(&error);
            let is_the_clients = problem.reason == Reason::ClientRejected;
            return if is_the_clients { chosen.refused(exchange, problem) } else { Err(problem) };
        }
    };
    chosen.taken(exchange);
    let lifespan = lifespan(&set, sent_at, spec.default_lifetime);
    let previous = exchange.target().and_then(|target| target.record.as_deref().cloned());
    let record = Record {
        revision: previous.as_ref().map_or(0, |record| record.revision).saturating_add(1),
        issued_at: lifespan.issued_at,
        expires_at: lifespan.expires_at,
        request: spec.request_digest.clone(),
        source_version,
        scopes: set.scopes.clone(),
        lineage: None,
        rotations: 0,
        rotated_at: None,
        refresh_life: None,
        fields: set.fields.keys().cloned().collect(),
    };
    let tokens = Tokens::from_set(&set, lifespan.expires_at);
    exchange.hand_over(&tokens, &record, previous.as_ref()).await?;
    Ok(End::Stored { set: Box::new(set), lifespan, client })
}
