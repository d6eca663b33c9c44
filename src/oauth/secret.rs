//! Secret text: wiped when dropped, never shown.

use secrecy::{ExposeSecret, SecretString};

/// The most bytes a token may have.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

macro_rules! secret_text {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SecretString);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(SecretString::from(text.into()))
            }

            /// The text, for the wire or a Secret and nowhere else.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.expose() == other.expose()
            }
        }

        impl Eq for $name {}

        // For the structs that hold one; shows nothing of it.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}

secret_text! {
    /// An access token (RFC 6749 §1.4).
    AccessToken;
    /// A refresh token (RFC 6749 §1.5).
    RefreshToken;
    /// A client secret (RFC 6749 §2.3.1).
    ClientSecret;
    /// The private key of a client's certificate (RFC 8705), in PEM.
    ClientKey;
    /// A private key in PEM, or as a JSON Web Key.
    PrivateKey;
    /// A signed assertion (RFC 7521 §4); who has it can use it as long as it lives.
    Assertion;
    /// A person's password (RFC 6749 §4.3).
    Password;
    /// A token that is given for another (RFC 8693 §2.1).
    GivenToken;
    /// A text of a token response that workloads need; some servers hand out secrets in such.
    KeptText;
}

/// Whether a text can be a token: 1 to 64 KiB of printable ASCII (RFC 6749 appendix A, `VSCHAR`).
pub fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_text() {
        assert_eq!(format!("{:?}", RefreshToken::new("canary")), "RefreshToken(…)");
    }

    #[test]
    fn tokens_are_printable_ascii_of_bounded_length() {
        assert!(is_token("a b~!"));
        for wrong in ["", "tab\t", "line\nfeed", "ümlaut"] {
            assert!(!is_token(wrong), "{wrong:?}");
        }
        assert!(is_token(&"x".repeat(MAX_TOKEN_BYTES)));
        assert!(!is_token(&"x".repeat(MAX_TOKEN_BYTES + 1)));
    }
}
