//! What a request holds that nobody else may see: its answer may say it again.

use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use super::client_auth::Client;
use super::secret::RefreshToken;

/// Members of a request that are secret.
const SECRET_MEMBERS: [&str; 7] = [
    "client_secret",
    "client_assertion",
    "refresh_token",
    "assertion",
    "password",
    "subject_token",
    "actor_token",
];

/// Secrets as they were sent, and others of the same client; wiped when dropped.
#[derive(Clone, Default)]
pub struct Sent(Vec<Zeroizing<String>>);

impl Sent {
    /// Of these texts.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut sent = Self::default();
        for text in texts {
            sent.add(text);
        }
        sent
    }

    /// One more, as it is and as a form and JSON write it.
    pub fn add(&mut self, text: &str) {
        let form = byte_serialize(text.as_bytes()).collect::<String>();
        let json = serde_json::to_string(text).unwrap_or_default();
        let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        for other in [form.as_str(), json.unwrap_or_default()] {
            if other != text {
                self.0.push(Zeroizing::new(other.to_owned()));
            }
        }
        self.0.push(Zeroizing::new(text.to_owned()));
    }

    /// A refresh token that was not sent this time.
    pub fn add_token(&mut self, token: &RefreshToken) {
        self.add(token.expose());
    }

    /// The secret of a client, where it has one that the server knows too.
    pub fn add_secret_of(&mut self, client: &Client) {
        if let Some(secret) = client.secret() {
            self.add(secret);
        }
    }

    /// A member of a request, by its standard name.
    pub(super) fn add_member(&mut self, name: &str, value: &str) {
        if SECRET_MEMBERS.contains(&name) {
            self.add(value);
        }
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|text| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_in_each_form_in_which_it_is_written() {
        let sent = Sent::of(["p&q \"r", "plain"]);
        let texts: Vec<&str> = sent.texts().collect();
        assert_eq!(texts, ["p%26q+%22r", "p&q \\\"r", "p&q \"r", "plain"]);
    }
}
