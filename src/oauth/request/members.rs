//! What a grant adds to the request, and what of the source it depends on.

use crate::oauth::client_auth::Client;
use crate::oauth::fingerprint::fingerprint;
use crate::oauth::jwt_bearer::Place;

use super::GrantInput;

impl GrantInput {
    /// Its members, in order.
    pub(super) fn members(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::RefreshToken(token) => vec![("refresh_token", token.expose())],
            Self::ClientCredentials => Vec::new(),
            Self::JwtBearer(bearer) if bearer.place == Place::Header => Vec::new(),
            Self::JwtBearer(bearer) => {
                bearer.assertion.iter().map(|signed| ("assertion", signed.expose())).collect()
            }
            Self::Password { username, password } => {
                vec![("username", username), ("password", password.expose())]
            }
            Self::TokenExchange(exchange) => exchange.members(),
        }
    }

    /// What stands in the header `Authorization`, where the grant does.
    pub(super) fn authorization(&self) -> Option<String> {
        let Self::JwtBearer(bearer) = self else { return None };
        let signed = bearer.assertion.as_ref().filter(|_| bearer.place == Place::Header)?;
        Some(format!("Bearer {}", signed.expose()))
    }

    /// A digest of the client and of what else of the source such a request depends on: with the same one it would be the
    /// same request. A refresh token is none of it, for it is followed by others.
    pub fn fingerprint(&self, client: &Client, salt: &[u8]) -> String {
        let client = client.fingerprint(salt);
        let of_the_source = match self {
            Self::RefreshToken(_) | Self::ClientCredentials => return client,
            Self::JwtBearer(bearer) => {
                return fingerprint(salt, &[&client, &bearer.issuer, &bearer.key.text()]);
            }
            Self::Password { .. } | Self::TokenExchange(_) => self.members(),
        };
        let texts = of_the_source.into_iter().flat_map(|(name, value)| [name, value]);
        fingerprint(salt, &[client.as_str()].into_iter().chain(texts).collect::<Vec<_>>())
    }
}
