//! What the source holds, read with messages that name the key.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;

use crate::api::Reason;
use crate::api::credential::OAuthCredentialSpec;
use crate::api::provider::{BasicEncoding, ClientAuthenticationMethod};
use crate::lifecycle::problem::Problem;
use crate::oauth::client_auth::{BasicForm, Client, ClientAuth};
use crate::oauth::request::GrantInput;
use crate::oauth::secret::{ClientSecret, RefreshToken};

use super::connection::{self, TlsKeys};
use super::{GrantKind, Resolved};

/// Name and keys of the source.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Name of the Secret.
    pub name: &'a str,
    pub(super) client_id: &'a str,
    /// Key of the client secret.
    pub client_secret: &'a str,
    /// Key of the one that takes its place.
    pub next_client_secret: &'a str,
    /// Whether the user named the client secret's key, so that its absence is a mistake.
    pub(super) client_secret_named: bool,
    /// Key of the refresh token.
    pub refresh_token: &'a str,
    pub(super) tls: TlsKeys<'a>,
    pub(super) private_key: &'a str,
    pub(super) username: &'a str,
    pub(super) password: &'a str,
    /// Whether rotated refresh tokens are written into that key.
    pub write_back: bool,
}

/// What the source holds.
#[derive(Clone, Debug)]
pub struct SourceContent {
    /// The client.
    pub client: Client,
    /// The same with the secret that takes the place of the present one, where there is another.
    pub next_client: Option<Client>,
    /// What the grant takes from it.
    pub input: GrantInput,
}

impl SourceContent {
    /// The client with each of its secrets.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        [&self.client].into_iter().chain(&self.next_client)
    }

    /// The seed refresh token; present exactly for the grants that spend one.
    pub fn seed(&self) -> Option<&RefreshToken> {
        match &self.input {
            GrantInput::RefreshToken(seed) => Some(seed),
            _ => None,
        }
    }
}

/// Reads its name and keys.
pub(super) fn source<'a>(spec: &'a OAuthCredentialSpec, tls: TlsKeys<'a>) -> Source<'a> {
    let keys = spec.source.keys.as_deref();
    Source {
        name: &spec.source.name,
        client_id: keys.and_then(|keys| keys.client_id.as_deref()).unwrap_or("client_id"),
        client_secret: keys
            .and_then(|keys| keys.client_secret.as_deref())
            .unwrap_or("client_secret"),
        next_client_secret: keys
            .and_then(|keys| keys.next_client_secret.as_deref())
            .unwrap_or("next_client_secret"),
        client_secret_named: keys.is_some_and(|keys| keys.client_secret.is_some()),
        refresh_token: keys
            .and_then(|keys| keys.refresh_token.as_deref())
            .unwrap_or("refresh_token"),
        tls,
        private_key: keys.and_then(|keys| keys.private_key.as_deref()).unwrap_or("private_key"),
        username: keys.and_then(|keys| keys.username.as_deref()).unwrap_or("username"),
        password: keys.and_then(|keys| keys.password.as_deref()).unwrap_or("password"),
        write_back: spec.source.write_back,
    }
}

impl Resolved<'_> {
    /// Reads the source's bytes.
    ///
    /// # Errors
    /// `SourceInvalid` with the key at fault.
    pub fn read_source(
        &self,
        data: &BTreeMap<String, ByteString>,
    ) -> Result<SourceContent, Problem> {
        let content = Content { name: self.source.name, data };
        let client = self.client(&self.present(&content), &content)?;
        let next_client = self.next_client(&client, &content)?;
        Ok(SourceContent { client, next_client, input: self.input(&content)? })
    }

    /// Reads the client alone, and the same with the next secret, where there is one.
    ///
    /// # Errors
    /// `SourceInvalid` with the key at fault.
    pub fn clients_of(
        &self,
        data: &BTreeMap<String, ByteString>,
    ) -> Result<(Client, Option<Client>), Problem> {
        let content = Content { name: self.source.name, data };
        let client = self.client(&self.present(&content), &content)?;
        let next_client = self.next_client(&client, &content)?;
        Ok((client, next_client))
    }

    /// A next secret without a present one has taken its place.
    fn present<'s>(&'s self, content: &Content<'_>) -> Source<'s> {
        let source = self.source;
        if !content.data.contains_key(source.client_secret)
            && !source.client_secret_named
            && content.has_more_than_line_ends(source.next_client_secret)
        {
            return Source { client_secret: source.next_client_secret, ..source };
        }
        source
    }

    fn next_client(
        &self,
        client: &Client,
        content: &Content<'_>,
    ) -> Result<Option<Client>, Problem> {
        let key = self.source.next_client_secret;
        if !client.has_secret() || !content.has_more_than_line_ends(key) {
            return Ok(None);
        }
        let next = self.client(&Source { client_secret: key, ..self.source }, content)?;
        let is_another = next.fingerprint(b"next") != client.fingerprint(b"next");
        Ok(is_another.then_some(next))
    }

    fn client(&self, source: &Source<'_>, content: &Content<'_>) -> Result<Client, Problem> {
        let has_secret =
            content.data.contains_key(source.client_secret) || source.client_secret_named;
        let implied = match self.grant {
            GrantKind::CookieSession => {
                return Ok(Client::Fixed(ClientAuth::None { client_id: None }));
            }
            GrantKind::ClientCredentials => ClientAuthenticationMethod::ClientSecretPost,
            GrantKind::JwtBearer => ClientAuthenticationMethod::None,
            _ if has_secret => ClientAuthenticationMethod::ClientSecretPost,
            _ => ClientAuthenticationMethod::None,
        };
        let method = self.method.unwrap_or(implied);
        match method {
            ClientAuthenticationMethod::None => {
                let client_id = content.optional(source.client_id)?.map(ToOwned::to_owned);
                return Ok(Client::Fixed(ClientAuth::None { client_id }));
            }
            ClientAuthenticationMethod::ClientSecretJwt => {
                return self.signing.secret_client(source, content);
            }
            ClientAuthenticationMethod::PrivateKeyJwt => {
                return self.signing.key_client(source, content);
            }
            _ => {}
        }
        let alone = self.basic_encoding == BasicEncoding::SecretAlone;
        let client_id = match content.optional(source.client_id)? {
            None if alone => String::new(),
            _ => content.required(source.client_id)?.to_owned(),
        };
        if method == ClientAuthenticationMethod::TlsClientAuth {
            return connection::tls_client(content, &client_id, source.tls).map(Client::Fixed);
        }
        let client_secret = ClientSecret::new(content.required(source.client_secret)?);
        Ok(Client::Fixed(match method {
            ClientAuthenticationMethod::ClientSecretBasic => {
                let form = match self.basic_encoding {
                    BasicEncoding::Form => BasicForm::Encoded,
                    BasicEncoding::Plain => BasicForm::Plain,
                    BasicEncoding::SecretAlone => BasicForm::SecretAlone,
                };
                ClientAuth::Basic { client_id, client_secret, form }
            }
            _ => ClientAuth::Post { client_id, client_secret },
        }))
    }
}

/// The source's data, read with messages that name the key.
pub(super) struct Content<'a> {
    pub(super) name: &'a str,
    pub(super) data: &'a BTreeMap<String, ByteString>,
}

impl<'a> Content<'a> {
    pub(super) fn required(&self, key: &str) -> Result<&'a str, Problem> {
        self.optional(key)?.ok_or_else(|| self.problem(key, "is missing"))
    }

    /// Whether there is anything: a key may stand empty until something is put there.
    fn has_more_than_line_ends(&self, key: &str) -> bool {
        let bytes = self.data.get(key);
        bytes.is_some_and(|bytes| bytes.0.iter().any(|byte| !matches!(byte, b'\r' | b'\n')))
    }

    /// A text of several lines.
    pub(super) fn lines(&self, key: &str) -> Result<&'a str, Problem> {
        let bytes = self.data.get(key).ok_or_else(|| self.problem(key, "is missing"))?;
        std::str::from_utf8(&bytes.0).map_err(|_| self.problem(key, "is no text (not UTF-8)"))
    }

    /// The text without line ends, which editors and `base64` pipelines leave behind.
    pub(super) fn optional(&self, key: &str) -> Result<Option<&'a str>, Problem> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        if text.chars().any(char::is_control) {
            return Err(self.problem(key, "holds control characters"));
        }
        Ok(Some(text))
    }

    /// The same, which may have several lines.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Problem> {
        let Some(bytes) = self.data.get(key) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes.0)
            .map_err(|_| self.problem(key, "is no text (not UTF-8)"))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(self.problem(key, "is empty"));
        }
        Ok(Some(text))
    }

    pub(super) fn problem(&self, key: &str, what: &str) -> Problem {
        Problem::new(
            Reason::SourceInvalid,
            format!("key {key} of the source Secret {} {what}", self.name),
        )
    }
}
