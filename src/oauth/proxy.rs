//! The proxy that the operator's own flag names.

use std::convert::Infallible;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Its URL as given, perhaps with a password.
#[derive(Clone)]
pub struct ProxyUrl(SecretString);

impl FromStr for ProxyUrl {
    type Err = Infallible;

    // What is wrong with it is said later, in words that don't repeat it.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.into()))
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProxyUrl(…)")
    }
}

impl ProxyUrl {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong, without repeating it.
    pub(super) fn read(&self) -> Result<Url, &'static str> {
        let url = Url::parse(self.0.expose_secret()).map_err(|_| "is no URL")?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must be an http or https URL such as http://proxy.example.com:3128");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("must have neither a path nor a query");
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_web_address_and_never_shown() {
        for (text, good) in [
            ("http://proxy:3128", true),
            ("https://user:canary@proxy.example:443/", true),
            ("proxy:3128", false),
            ("socks5://proxy", false),
            ("http://proxy/path", false),
            ("", false),
        ] {
            let url: ProxyUrl = text.parse().unwrap();
            assert_eq!(url.read().is_ok(), good, "{text}");
            assert_eq!(format!("{url:?}"), "ProxyUrl(…)");
        }
    }
}
