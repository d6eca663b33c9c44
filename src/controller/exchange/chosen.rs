//! The client of an exchange, where the source has a client secret that takes the place of another.

use crate::lifecycle::client_secret::{Known, Which};
use crate::lifecycle::problem::Problem;
use crate::lifecycle::resolve::SourceContent;
use crate::oauth::client_auth::Client;
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
    of_two: Option<Which>,
    source_version: String,
}

/// Chooses by what is known of this version of the source.
pub fn choose(exchange: &Exchange<'_>, content: &SourceContent, source_version: &str) -> Chosen {
    let known = exchange.context.notes.of(exchange.credential).client_secret;
    let which = Known::choice(known.as_ref(), source_version);
    let of_two = content.next_client.as_ref().map(|next| (which, next));
    let present = content.client.clone();
    let (client, other) = match of_two {
        Some((Which::Next, next)) => (next.clone(), Some(present)),
        Some((_, next)) => (present, Some(next.clone())),
        None => (present, None),
    };
    let of_two = of_two.map(|(which, _)| which);
    Chosen { client, other, of_two, source_version: source_version.to_owned() }
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
        let Some(which) = self.of_two else { return Err(problem) };
        let again = note(exchange, |known| Known::refused(known, &self.source_version, which));
        if again {
            return Ok(End::OtherSecret(problem));
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
        let Some(which) = self.of_two else { return };
        if note(exchange, |known| Known::taken(known, &self.source_version, which)) {
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
