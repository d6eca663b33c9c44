//! Scopes are shown to whoever may read a credential, and a server may write into them what it likes.

use std::collections::HashSet;

use crate::oauth::client_auth::Client;
use crate::oauth::request::GrantInput;
use crate::oauth::secret::RefreshToken;

use super::TokenSet;

/// So many characters in common with a secret are no accident.
const IN_COMMON: usize = 8;
/// Scopes that long are names with separators, or no scopes.
const LONG: usize = 40;
/// As long as the shortest tokens in hex.
const LONG_HEX: usize = 32;

impl TokenSet {
    /// Takes out scopes that tell of what was sent.
    pub fn hide_sent(&mut self, client: &Client, grant: &GrantInput) {
        self.hide_echoes(&client.secret().into_iter().chain(grant.secrets()).collect::<Vec<_>>());
    }

    /// Takes out scopes that tell of these tokens.
    pub fn hide_tokens(&mut self, tokens: &[&RefreshToken]) {
        self.hide_echoes(&tokens.iter().map(|token| token.expose()).collect::<Vec<_>>());
    }

    /// Takes out scopes that hold a piece of a token of this answer or of another secret, also cut into several, and
    /// scopes that have the shape of a token.
    pub(super) fn hide_echoes(&mut self, secrets: &[&str]) {
        if self.scopes.is_empty() {
            return;
        }
        let refresh_token = self.refresh_token.as_ref().map(RefreshToken::expose);
        let own = [self.access_token.expose()].into_iter().chain(refresh_token);
        let secrets: Vec<&str> = own.chain(secrets.iter().copied()).collect();
        let echoes = echoes(&self.scopes, &secrets);
        let mut at = 0_usize;
        self.scopes.retain(|scope| {
            let from = at;
            at = at.saturating_add(scope.len());
            let holds_a_piece = echoes.iter().any(|(start, end)| *start < at && from < *end);
            !holds_a_piece && !secrets.contains(&scope.as_str()) && !has_the_shape_of_a_token(scope)
        });
    }
}

/// Where, in all scopes written one after the other, pieces of secrets are.
fn echoes(scopes: &[String], secrets: &[&str]) -> Vec<(usize, usize)> {
    let written = scopes.concat();
    let pieces: HashSet<&[u8]> =
        secrets.iter().flat_map(|secret| secret.as_bytes().windows(IN_COMMON)).collect();
    let windows = written.as_bytes().windows(IN_COMMON).enumerate();
    let found = windows.filter(|(_, piece)| pieces.contains(piece));
    found.map(|(at, _)| (at, at.saturating_add(IN_COMMON))).collect()
}

fn has_the_shape_of_a_token(scope: &str) -> bool {
    let any = |is: fn(&u8) -> bool| scope.bytes().any(|byte| is(&byte));
    let is_mixed =
        any(u8::is_ascii_digit) && any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
    let is_hex = scope.bytes().all(|byte| byte.is_ascii_hexdigit());
    scope.starts_with("eyJ")
        || (scope.len() >= LONG_HEX && is_hex)
        || (scope.len() >= LONG && is_mixed && !scope.contains(':'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::oauth::response::Lifetime;
    use crate::oauth::secret::AccessToken;

    fn shown(scopes: &[&str], sent: &[&str]) -> Vec<String> {
        let mut set = TokenSet {
            access_token: AccessToken::new("access-token-9A7f3"),
            token_type: "Bearer".into(),
            lifetime: Lifetime::Missing,
            refresh_token: Some(RefreshToken::new("refresh-token-77")),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            refresh_token_lifetime: None,
            fields: BTreeMap::new(),
            left_out: Vec::new(),
        };
        set.hide_echoes(sent);
        set.scopes
    }

    #[test]
    fn scopes_of_real_servers_are_shown() {
        let real = [
            "read",
            "offline_access",
            "https://www.googleapis.com/auth/drive.appdata.readonly",
            "https://graph.microsoft.com/AgreementAcceptance.Read.All",
            "api://00000003-0000-0000-c000-000000000000/access_as_user",
            "ManageDelegatedAdministrationPermissions.ReadWriteEverything",
            "bot",
        ];
        assert_eq!(shown(&real, &["secret"]), real);
    }

    #[test]
    fn whole_tokens_pieces_of_them_and_pieces_cut_small_are_not() {
        for echo in [
            &["read", "access-token-9A7f3"][..],
            &["xx-refresh-token-77"],
            &["token-77"],
            &["refre", "sh-to", "ken-7", "7"],
            &["pass"],
            &["client-secret"],
        ] {
            let left = shown(echo, &["pass", "my-client-secret"]);
            assert!(left.iter().all(|scope| scope == "read" || scope == "7"), "{left:?}");
        }
    }

    #[test]
    fn what_looks_like_a_token_is_not_either() {
        for token in [
            "eyJhbGciOiJub25lIn0.e30.",
            "0123456789abcdef0123456789ABCDEF",
            "QmFzZTY0IHRva2VucyBoYXZlIGRpZ2l0cyA0MiBhbmQgbG9uZw",
        ] {
            assert!(shown(&[token], &[]).is_empty(), "{token}");
        }
    }
}
