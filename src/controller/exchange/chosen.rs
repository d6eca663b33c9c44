//! The client of an exchange, where the source has a client secret that takes the place of another.

use crate::lifecycle::client_secret::{Known, Which};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::record::StateRecord;
use crate::lifecycle::resolve::SourceContent;
use crate::oauth::client_auth::Client;
use crate::oauth::fingerprint::fingerprint;
use crate::oauth::request::TokenRequest;
use crate::oauth::sent::Sent;

use super::attempt::{End, Exchange};

/// The client that is sent.
pub struct Chosen {
    /// The client.
    pub client: Client,
    /// The same with the other of two secrets.
    other: Option<Client>,
    /// Which of two, where there are two.
    of_two: Option<OfTwo>,
}

struct OfTwo {
    which: Which,
    /// Digest of the two.
    pair: String,
}

/// Chooses by what this process knows of the two secrets, or else by what brought the record.
pub fn choose(
    exchange: &Exchange<'_>,
    content: &SourceContent,
    record: Option<&StateRecord>,
) -> Chosen {
    let Some(next) = &content.next_client else {
        return Chosen { client: content.client.clone(), other: None, of_two: None };
    };
    let known = exchange.context.notes.of(exchange.credential).client_secret;
    // Drawn anew by each process.
    let salt = exchange.context.holder.incarnation.as_bytes();
    let pair = [&content.client, next].map(|client| client.fingerprint(salt));
    let pair = fingerprint(salt, &pair.each_ref().map(String::as_str));
    let brought = |client: &Client, record: &StateRecord| {
        client.fingerprint(record.salt.as_bytes()) == record.client
    };
    let last = record.filter(|record| brought(next, record)).map(|_| Which::Next);
    let which = Known::choice(known.as_ref(), &pair, last);
    let (client, other) = match which {
        Which::Next => (next, &content.client),
        Which::Present => (&content.client, next),
    };
    Chosen {
        client: client.clone(),
        other: Some(other.clone()),
        of_two: Some(OfTwo { which, pair }),
    }
}

impl Chosen {
    /// What an answer must not show: what was sent, and the client's secrets.
    pub fn secrets(&self, request: Option<&TokenRequest>) -> Sent {
        let mut sent = request.map(|request| request.sent.clone()).unwrap_or_default();
        for client in [&self.client].into_iter().chain(&self.other) {
            sent.add_secret_of(client);
        }
        sent
    }

    /// After a refusal of the client: with the other secret there is another exchange at once, unless both are refused.
    ///
    /// # Errors
    /// The problem, if that is all.
    pub fn refused(&self, exchange: &Exchange<'_>, problem: Problem) -> Result<End, Problem> {
        let Some(OfTwo { which, pair }) = &self.of_two else { return Err(problem) };
        if note(exchange, |known| Known::refused(known, pair, *which)) {
            return Ok(End::OtherSecret);
        }
        let source = &exchange.spec.source;
        let message = format!(
            "{}; so it did with both client secrets, in the keys {} and {} of the source Secret {}",
            problem.message, source.client_secret, source.next_client_secret, source.name
        );
        Err(Problem { message, ..problem })
    }

    /// After an answer that brought a token.
    pub fn taken(&self, exchange: &Exchange<'_>) {
        let Some(OfTwo { which, pair }) = &self.of_two else { return };
        if note(exchange, |known| Known::taken(known, pair, *which)) {
            let source = &exchange.spec.source;
            let (present, next) = (source.client_secret, source.next_client_secret);
            exchange.context.events.next_secret_used(exchange.credential, present, next);
        }
    }
}

/// Notes what is known now; gives back what goes with it.
fn note(exchange: &Exchange<'_>, next: impl FnOnce(Option<&Known>) -> (Known, bool)) -> bool {
    let uid = exchange.credential.metadata.uid.as_deref().unwrap_or_default();
    let mut told = false;
    exchange.context.notes.update(uid, |note| {
        let (known, tells) = next(note.client_secret.as_ref());
        note.client_secret = Some(known);
        told = tells;
    });
    told
}
