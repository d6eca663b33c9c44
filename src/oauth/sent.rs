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
        for other in [in_a_form(text), in_json(text)] {
            if *other != text {
                self.0.push(other);
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

    /// Whether a text is one of them.
    pub(super) fn has(&self, text: &str) -> bool {
        self.texts().any(|sent| sent == text)
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|text| text.as_str())
    }
}

/// With room from the start: what grows leaves pieces of itself behind.
fn in_a_form(text: &str) -> Zeroizing<String> {
    let longest = text.len().saturating_mul("%00".len());
    let mut form = Zeroizing::new(String::with_capacity(longest));
    form.extend(byte_serialize(text.as_bytes()));
    form
}

/// The same, without the quotes around it.
fn in_json(text: &str) -> Zeroizing<String> {
    let longest = text.len().saturating_mul("\\u0000".len()).saturating_add(2);
    let mut json = Zeroizing::new(Vec::with_capacity(longest));
    // A text can always be written as JSON.
    let _ = serde_json::to_writer(&mut *json, text);
    let json = std::str::from_utf8(&json).unwrap_or_default();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    Zeroizing::new(json.unwrap_or_default().to_owned())
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
