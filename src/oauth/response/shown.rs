//! What is shown of a token set.

use std::fmt;

use super::TokenSet;

/// Fields for the target by their names alone: what they hold may be as secret as a token, and in a cookie session is one.
impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("access_token", &self.access_token)
            .field("token_type", &self.token_type)
            .field("lifetime", &self.lifetime)
            .field("refresh_token", &self.refresh_token)
            .field("scopes", &self.scopes)
            .field("refresh_token_lifetime", &self.refresh_token_lifetime)
            .field("fields", &self.fields.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::oauth::response::{Lifetime, TokenSet};
    use crate::oauth::secret::AccessToken;

    #[test]
    fn no_field_of_the_target_is_shown() {
        let set = TokenSet {
            access_token: AccessToken::new("canary-1"),
            token_type: "Bearer".to_owned(),
            lifetime: Lifetime::Missing,
            refresh_token: None,
            scopes: Vec::new(),
            refresh_token_lifetime: None,
            fields: [("cookie".to_owned(), "access-token=canary-1".to_owned())].into(),
        };
        let shown = format!("{set:?}");
        assert!(shown.contains("cookie") && !shown.contains("canary"), "{shown}");
    }
}
