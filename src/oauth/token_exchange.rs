//! Token exchange (RFC 8693): one token is given for another.

use super::secret::GivenToken;

/// Type of an access token (RFC 8693 §3).
pub const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Type of a JWT (RFC 8693 §3).
pub const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
/// The key of the target with the type of the new token, and the member of the answer (RFC 8693 §2.2.1).
pub const ISSUED_TYPE: &str = "issued_token_type";

/// What is given, and what for.
#[derive(Clone, Debug)]
pub struct TokenExchange {
    /// For whom the new token shall be.
    pub subject: TypedToken,
    /// Who acts for them, where that is another one.
    pub actor: Option<TypedToken>,
    /// The type of token that is wanted.
    pub requested_type: Option<String>,
}

/// A token and its type.
#[derive(Clone, Debug)]
pub struct TypedToken {
    /// The token; none before it is made.
    pub token: Option<GivenToken>,
    /// Its type.
    pub token_type: String,
}

impl TokenExchange {
    /// The members of the request, in order.
    pub(super) fn members(&self) -> Vec<(&'static str, &str)> {
        let mut members = typed("subject_token", "subject_token_type", &self.subject);
        let requested = self.requested_type.as_deref();
        members.extend(requested.map(|wanted| ("requested_token_type", wanted)));
        let actor = self.actor.as_ref();
        members.extend(
            actor.into_iter().flat_map(|actor| typed("actor_token", "actor_token_type", actor)),
        );
        members
    }
}

fn typed<'a>(
    name: &'static str,
    type_name: &'static str,
    given: &'a TypedToken,
) -> Vec<(&'static str, &'a str)> {
    let token = given.token.iter().map(|token| (name, token.expose()));
    token.chain([(type_name, given.token_type.as_str())]).collect()
}
