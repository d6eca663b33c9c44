//! Scopes are shown to whoever may read a credential, and a server may write into them what it likes: also what it was
//! sent.

use std::collections::HashSet;

use zeroize::Zeroizing;

use crate::oauth::secret::RefreshToken;
use crate::oauth::sent::Sent;

use super::{Lifetime, TokenSet};

/// So many characters in common with a secret are no accident.
const IN_COMMON: usize = 8;
/// A shorter secret would be found everywhere; a scope that is just that secret is not shown all the same.
const SHORTEST: usize = 4;
/// Scopes that long are names with separators, or no scopes.
const LONG: usize = 40;
/// As long as the shortest tokens in hex.
const LONG_HEX: usize = 32;

/// A text without what scopes are split at, and without upper case.
type Bare = Zeroizing<Vec<u8>>;

impl TokenSet {
    /// Takes out what tells of a token of this answer or of what was sent: scopes that hold a piece of it, also cut into
    /// several, scopes that have the shape of a token, and a type or a number that holds such a piece.
    pub fn hide_sent(&mut self, sent: &Sent) {
        let refresh_token = self.refresh_token.as_ref().map(RefreshToken::expose);
        let own = [self.access_token.expose()].into_iter().chain(refresh_token);
        let secrets: Vec<Bare> = own.chain(sent.texts()).map(bare).collect();
        let scopes: Vec<Bare> = self.scopes.iter().map(|scope| bare(scope)).collect();
        let written = scopes.iter().flat_map(|scope| scope.iter().copied());
        let written: Bare = Zeroizing::new(written.collect());
        let echoes = echoes(&written, &secrets);
        let (mut at, mut bares) = (0_usize, scopes.iter());
        self.scopes.retain(|scope| {
            let Some(bare) = bares.next() else { return false };
            let from = at;
            at = at.saturating_add(bare.len());
            let holds_a_piece = echoes.iter().any(|(start, end)| *start < at && from < *end);
            !holds_a_piece && !secrets.contains(bare) && !has_the_shape_of_a_token(scope)
        });
        let tells = |text: &str| {
            let bare = bare(text);
            secrets.contains(&bare) || !self::echoes(&bare, &secrets).is_empty()
        };
        if tells(&self.token_type) {
            "Bearer".clone_into(&mut self.token_type);
        }
        for lifetime in [&mut self.lifetime, &mut self.refresh_token_lifetime] {
            if matches!(lifetime, Lifetime::Unusable(said) if tells(said)) {
                *lifetime = Lifetime::Unusable("a number that is too large".to_owned());
            }
        }
    }
}

fn bare(text: &str) -> Bare {
    let kept = text.bytes().filter(|byte| !matches!(byte, b' ' | b','));
    Zeroizing::new(kept.map(|byte| byte.to_ascii_lowercase()).collect())
}

/// Where in a text pieces of secrets are.
fn echoes(text: &[u8], secrets: &[Bare]) -> Vec<(usize, usize)> {
    let pieces: HashSet<&[u8]> =
        secrets.iter().flat_map(|secret| secret.windows(IN_COMMON)).collect();
    let windows = text.windows(IN_COMMON).enumerate();
    let long = windows.filter(|(_, piece)| pieces.contains(piece));
    let long = long.map(|(at, _)| (at, at.saturating_add(IN_COMMON)));
    let short = secrets.iter().filter(|secret| (SHORTEST..IN_COMMON).contains(&secret.len()));
    let short = short.flat_map(|secret| {
        let windows = text.windows(secret.len()).enumerate();
        let whole = windows.filter(|(_, piece)| *piece == secret.as_slice());
        whole.map(|(at, _)| (at, at.saturating_add(secret.len())))
    });
    long.chain(short).collect()
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
    use crate::oauth::secret::AccessToken;

    fn answer(scopes: &[&str], token_type: &str, lifetime: Lifetime) -> TokenSet {
        TokenSet {
            access_token: AccessToken::new("access-token-9A7f3"),
            token_type: token_type.to_owned(),
            lifetime,
            refresh_token: Some(RefreshToken::new("refresh-token-77")),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            refresh_token_lifetime: Lifetime::Missing,
            fields: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    fn shown(scopes: &[&str], sent: &[&str]) -> Vec<String> {
        let mut set = answer(scopes, "Bearer", Lifetime::Missing);
        set.hide_sent(&Sent::of(sent.iter().copied()));
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
        assert_eq!(shown(&real, &["secret", "a", "ea", "bo"]), real);
    }

    #[test]
    fn whole_tokens_pieces_of_them_and_pieces_cut_small_are_not() {
        for echo in [
            &["read", "access-token-9A7f3"][..],
            &["ACCESS-TOKEN"],
            &["xx-refresh-token-77"],
            &["token-77"],
            &["refre", "sh-to", "ken-7", "7"],
            &["pass"],
            &["my:pass:word"],
            &["pa", "ss"],
            &["k"],
            &["client-secret"],
            &["correct", "horse", "battery"],
            &["horse,battery"],
            &["p%26ss%3D"],
        ] {
            let sent =
                ["pass", "k", "my-client-secret", "correct horse, battery", "the p&ss= of mine"];
            let left = shown(echo, &sent);
            assert!(left.iter().all(|scope| scope == "read"), "{echo:?}: {left:?}");
        }
    }

    #[test]
    fn types_and_numbers_that_tell_of_a_secret_are_not_repeated_either() {
        let unusable = || Lifetime::Unusable("-4815162342".to_owned());
        let mut set = answer(&[], "client-secret", unusable());
        set.hide_sent(&Sent::of(["my-client-secret", "4815162342"]));
        assert_eq!(set.token_type, "Bearer");
        assert_eq!(set.lifetime, Lifetime::Unusable("a number that is too large".to_owned()));
        let mut set = answer(&[], "N_A", unusable());
        set.hide_sent(&Sent::of(["my-client-secret"]));
        assert_eq!((set.token_type.as_str(), set.lifetime), ("N_A", unusable()));
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
