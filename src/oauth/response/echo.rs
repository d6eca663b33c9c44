//! Scopes are shown to whoever may read a credential, and a server may write into them what it likes: also what it was
//! sent.

use std::collections::HashSet;

use zeroize::Zeroizing;

use crate::oauth::secret::RefreshToken;
use crate::oauth::sent::Sent;

use super::{Lifetime, TokenSet};

/// So many characters in common with a secret are no accident. Of a shorter secret they would be: a password like `user` is
/// in many scopes. A scope that is just that secret is not shown all the same.
const IN_COMMON: usize = 8;
/// Scopes that long are names with separators, or no scopes.
const LONG: usize = 40;
/// As long as the shortest tokens in hex.
const LONG_HEX: usize = 32;
/// The type that says nothing.
const BEARER: &str = "Bearer";

/// A text without what scopes are split at, and without upper case.
type Bare = Zeroizing<Vec<u8>>;

impl TokenSet {
    /// Takes out what tells of a token of this answer or of what was sent: scopes that hold a piece of it, also cut into
    /// several, scopes that have the shape of a token, and a type or a number that holds such a piece.
    pub fn hide_sent(&mut self, sent: &Sent) {
        self.fields.retain(|key, text| {
            let is_echo = sent.has(text.expose());
            self.left_out.extend(is_echo.then(|| key.clone()));
            !is_echo
        });
        if self.shows_nothing() {
            return;
        }
        let refresh_token = self.refresh_token.as_ref().map(RefreshToken::expose);
        let own = [self.access_token.expose()].into_iter().chain(refresh_token);
        let secrets: Vec<Bare> = own.chain(sent.texts()).map(bare).collect();
        let known = Known::of(&secrets);
        hide_scopes(&mut self.scopes, &known);
        if known.is_told_by(&self.token_type) {
            BEARER.clone_into(&mut self.token_type);
        }
        for lifetime in [&mut self.lifetime, &mut self.refresh_token_lifetime] {
            if matches!(lifetime, Lifetime::Unusable(said) if known.is_told_by(said)) {
                *lifetime = Lifetime::Unusable("a number that is too large".to_owned());
            }
        }
    }

    /// As most answers do: then there is nothing to look for.
    fn shows_nothing(&self) -> bool {
        let lifetimes = [&self.lifetime, &self.refresh_token_lifetime];
        self.scopes.is_empty()
            && self.token_type == BEARER
            && !lifetimes.iter().any(|lifetime| matches!(lifetime, Lifetime::Unusable(_)))
    }
}

fn hide_scopes(scopes: &mut Vec<String>, known: &Known<'_>) {
    let bares: Vec<Bare> = scopes.iter().map(|scope| bare(scope)).collect();
    let length = bares.iter().fold(0_usize, |sum, bare| sum.saturating_add(bare.len()));
    let mut written: Bare = Zeroizing::new(Vec::with_capacity(length));
    for bare in &bares {
        written.extend_from_slice(bare);
    }
    let echoes = known.echoes(&written);
    let (mut at, mut bares) = (0_usize, bares.iter());
    scopes.retain(|scope| {
        let Some(bare) = bares.next() else { return false };
        let from = at;
        at = at.saturating_add(bare.len());
        let ends = echoes.iter().map(|start| (*start, start.saturating_add(IN_COMMON)));
        let holds_a_piece = ends.into_iter().any(|(start, end)| start < at && from < end);
        !holds_a_piece && !known.secrets.contains(bare) && !has_the_shape_of_a_token(scope)
    });
}

fn bare(text: &str) -> Bare {
    let kept = text.bytes().filter(|byte| !matches!(byte, b' ' | b','));
    // With room from the start: what grows leaves pieces of itself behind.
    let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
    bare.extend(kept.map(|byte| byte.to_ascii_lowercase()));
    bare
}

/// Secrets, with their pieces: these are gathered once for an answer.
struct Known<'s> {
    secrets: &'s [Bare],
    pieces: HashSet<&'s [u8]>,
}

impl<'s> Known<'s> {
    fn of(secrets: &'s [Bare]) -> Self {
        let pieces = secrets.iter().flat_map(|secret| secret.windows(IN_COMMON)).collect();
        Self { secrets, pieces }
    }

    /// Where in a text pieces of secrets begin.
    fn echoes(&self, text: &[u8]) -> Vec<usize> {
        let windows = text.windows(IN_COMMON).enumerate();
        windows.filter(|(_, piece)| self.pieces.contains(piece)).map(|(at, _)| at).collect()
    }

    /// Whether a text is a secret or has a piece of one.
    fn is_told_by(&self, text: &str) -> bool {
        let bare = bare(text);
        self.secrets.contains(&bare) || !self.echoes(&bare).is_empty()
    }
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
    use crate::oauth::secret::{AccessToken, KeptText};

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
            "user.read",
            "my:pass:word",
        ];
        assert_eq!(shown(&real, &["secret", "a", "ea", "bo", "user", "pass"]), real);
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
    fn a_secret_that_was_sent_is_no_field_of_the_target() {
        let field = |text: &str| ((text.to_owned()), KeptText::new(text));
        let fields = ["my-client-secret", "https://a.example"].map(field).into();
        let mut set = TokenSet { fields, ..answer(&[], "Bearer", Lifetime::Missing) };
        set.hide_sent(&Sent::of(["my-client-secret"]));
        assert_eq!(set.fields.keys().collect::<Vec<_>>(), ["https://a.example"]);
        assert_eq!(set.left_out, ["my-client-secret"]);
    }

    #[test]
    fn where_there_is_nothing_to_hide_nothing_is_looked_for() {
        assert!(answer(&[], "Bearer", Lifetime::Missing).shows_nothing());
        let unusable = || Lifetime::Unusable("-1".to_owned());
        let of_refresh_token =
            TokenSet { refresh_token_lifetime: unusable(), ..answer(&[], "Bearer", unusable()) };
        for shows in [
            answer(&["read"], "Bearer", Lifetime::Missing),
            answer(&[], "N_A", Lifetime::Missing),
            answer(&[], "Bearer", unusable()),
            TokenSet { lifetime: Lifetime::Missing, ..of_refresh_token },
        ] {
            assert!(!shows.shows_nothing());
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
