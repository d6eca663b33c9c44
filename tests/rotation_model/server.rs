//! The authorization server: families of refresh tokens that descend from one signing-in.

use crate::world::{FAMILIES, Token, family};

/// What a server does with a refresh token that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It stays good.
    Never,
    /// It is dead at once; who uses it again is taken for a thief, and the family dies.
    Strict,
    /// It is accepted for a while, or until its successor is used.
    Window,
    /// It is accepted until its successor is used.
    Ample,
}

/// All families.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    families: [Family; FAMILIES],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Family {
    /// How many tokens were issued.
    issued: u8,
    /// One bit for each that is good.
    good: u16,
    /// One that was replaced and is accepted still.
    in_window: Option<Token>,
    revoked: bool,
}

/// What the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A token set, with a new refresh token or without.
    Granted(Option<Token>),
    /// Refused, but the token is as good as before: too many requests.
    Kept,
    /// The token is called invalid.
    Rejected,
    /// Something came back that makes no sense, or nothing.
    Unknown,
}

impl Server {
    /// With one seed in each family, and one more token in the first.
    pub fn new(issued: u8) -> Self {
        let seed = Family { issued: 1, good: 1, in_window: None, revoked: false };
        let mut families = [seed; FAMILIES];
        families[0] = Family { issued, good: 1 << (issued - 1), ..seed };
        Self { families }
    }

    /// Whether a token can still be used.
    pub fn accepts(&self, token: Token) -> bool {
        let family = &self.families[family(token)];
        !family.revoked && (family.good & bit(token) != 0 || family.in_window == Some(token))
    }

    /// Whether a token was replaced by another.
    pub fn replaced(&self, token: Token) -> bool {
        let family = &self.families[family(token)];
        !family.revoked && family.good & bit(token) == 0
    }

    /// A token is used.
    pub fn redeem(&mut self, token: Token, rotation: Rotation) -> Answer {
        let number = family(token);
        let family = &mut self.families[number];
        if family.revoked {
            return Answer::Rejected;
        }
        let is_good = family.good & bit(token) != 0;
        if !is_good && family.in_window != Some(token) {
            family.revoked = true;
            return Answer::Rejected;
        }
        if rotation == Rotation::Never {
            return Answer::Granted(None);
        }
        let successor = Token::try_from(number).unwrap() * 16 + family.issued;
        family.issued += 1;
        if is_good {
            family.good = bit(successor);
            family.in_window = (rotation != Rotation::Strict).then_some(token);
        } else {
            family.good |= bit(successor);
        }
        Answer::Granted(Some(successor))
    }

    /// Tokens in their window.
    pub fn windows(&self) -> impl Iterator<Item = Token> {
        self.families.iter().filter_map(|family| family.in_window)
    }

    /// The window of a token ends.
    pub fn close_window(&mut self, token: Token) {
        self.families[family(token)].in_window = None;
    }
}

fn bit(token: Token) -> u16 {
    1 << (token % 16)
}
