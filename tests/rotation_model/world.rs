//! Everything there is: the servers, the Secrets, the lease and two processes.

use oauth_keeper::lifecycle::rotation::hold::Unresolved;

use crate::faults::Causes;
use crate::process::{Process, Running};
use crate::server::Server;

/// A refresh token: its family in the upper half, its number in the lower one. Number 0 is the seed.
pub type Token = u8;
/// How often somebody signs in.
pub const FAMILIES: usize = 2;
/// The seeds.
pub const SEEDS: [Token; FAMILIES] = [0, 16];
/// How many processes there are.
pub const PROCESSES: usize = 2;

/// The family of a token.
pub fn family(token: Token) -> usize {
    usize::from(token / 16)
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The authorization server.
    pub server: Server,
    /// A request whose sender no longer waits for the answer.
    pub stray: Option<Token>,
    /// The seed in the source.
    pub source: Token,
    /// The state Secret.
    pub secret: Secret,
    /// Whether a write is under way of which the writer believes nothing any more.
    pub late: Option<Late>,
    /// Generation and family in the target.
    pub target: (u8, u8),
    /// The record before the last commit, as a backup has it.
    pub backup: Option<Record>,
    /// The seed whose refresh token was called invalid once, as the status says.
    pub rejected: Option<Token>,
    /// Who leads.
    pub leader: usize,
    /// The processes.
    pub processes: [Process; PROCESSES],
    /// Claims made so far.
    pub claims: u8,
    /// Faults so far.
    pub faults: u8,
    /// What has happened to a token that no client can help.
    pub causes: [Causes; FAMILIES],
    /// A rule that was broken.
    pub flaw: Option<Flaw>,
}

/// The state Secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Secret {
    /// The record.
    pub record: Option<Record>,
    /// The claim.
    pub claim: Option<Claim>,
    /// The seed of a dead lineage.
    pub refused: Option<Token>,
}

impl Secret {
    /// The generation; 0 without a record.
    pub fn generation(&self) -> u8 {
        self.record.map_or(0, |record| record.generation)
    }

    /// Whether the claim is that of this exchange.
    pub fn is_claimed_by(&self, exchange: u8) -> bool {
        self.claim.is_some_and(|claim| claim.exchange == exchange)
    }
}

/// What of a record matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Counts the commits.
    pub generation: u8,
    /// The refresh token.
    pub token: Token,
    /// The exchange that brought it, in place of the access token.
    pub exchange: u8,
    /// One bit for each family whose seed is known.
    pub seeds: u8,
    /// The family of the newest seed.
    pub lineage: u8,
}

impl Record {
    /// Whether it knows a seed, or came from who read a newer one in the source.
    pub fn outdates(self, seed: Token) -> bool {
        self.seeds & (1 << family(seed)) != 0 || usize::from(self.lineage) > family(seed)
    }
}

/// What of a claim matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Its exchange.
    pub exchange: u8,
    /// The token that is spent.
    pub token: Token,
    /// Who spends it.
    pub holder: usize,
    /// The holder's pod is gone.
    pub pod_is_gone: bool,
    /// Tries whose outcome nobody knows.
    pub unresolved: Option<Unresolved>,
    /// The holder does not know the outcome.
    pub over: bool,
    /// Sending the token again is still harmless as far as anybody can tell.
    pub window_is_open: bool,
    /// Whose patience has run out.
    pub outwaited: [bool; PROCESSES],
    /// The claim about another token that it took the place of.
    pub displaced: Option<Displaced>,
}

/// A claim that another one took the place of. There are two seeds, so that it took no other's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Displaced {
    exchange: u8,
    token: Token,
    holder: usize,
    pod_is_gone: bool,
    unresolved: Option<Unresolved>,
    over: bool,
    window_is_open: bool,
    outwaited: [bool; PROCESSES],
}

impl Claim {
    /// This claim, or the one it took the place of, that is about this token.
    pub fn about(self, token: Token) -> Option<Self> {
        if self.token == token { Some(self) } else { self.displaced?.claim().about(token) }
    }

    /// What remains of it beside a new claim about this token.
    pub fn beside(self, token: Token) -> Option<Displaced> {
        if self.token == token { self.displaced } else { Some(self.itself()) }
    }

    fn itself(self) -> Displaced {
        Displaced {
            exchange: self.exchange,
            token: self.token,
            holder: self.holder,
            pod_is_gone: self.pod_is_gone,
            unresolved: self.unresolved,
            over: self.over,
            window_is_open: self.window_is_open,
            outwaited: self.outwaited,
        }
    }

    /// Changes it and the one it took the place of.
    pub fn change(&mut self, change: impl Fn(&mut Self)) {
        change(self);
        self.displaced = self.displaced.map(|displaced| {
            let mut claim = displaced.claim();
            change(&mut claim);
            claim.itself()
        });
    }
}

impl Displaced {
    /// As a claim again.
    pub fn claim(self) -> Claim {
        Claim {
            exchange: self.exchange,
            token: self.token,
            holder: self.holder,
            pod_is_gone: self.pod_is_gone,
            unresolved: self.unresolved,
            over: self.over,
            window_is_open: self.window_is_open,
            outwaited: self.outwaited,
            displaced: None,
        }
    }
}

/// A write that the API server may make when its writer has given it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Late {
    /// The Secret as it will be.
    pub secret: Secret,
    /// Whether that is still a write on top of what it was made for.
    pub fresh: bool,
}

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A token was sent without a claim in the state.
    Unclaimed,
    /// A token was sent that is older than the one the claim was put beside.
    Old,
    /// A token was sent as if it were fresh while another process had sent it.
    Twice,
    /// A token that had been replaced was sent as if it were fresh.
    Unaware,
    /// A token of a lineage that was called dead was sent.
    Dead,
    /// An answer was given up before the state was seen to hold it or a newer one.
    Dropped,
    /// Who knew a newer record than the state has did not write it back.
    NotRestored,
}

impl World {
    /// Notes a broken rule.
    pub fn flaw(&mut self, broken: bool, flaw: Flaw) {
        if broken && self.flaw.is_none() {
            self.flaw = Some(flaw);
        }
    }

    /// The Secret was written: whoever read it before has an old version.
    pub fn write(&mut self, secret: Secret) {
        if secret.record != self.secret.record {
            self.backup = self.secret.record;
        }
        self.secret = secret;
        for process in &mut self.processes {
            if let Some(running) = &mut process.running {
                running.fresh = false;
            }
        }
        if let Some(late) = &mut self.late {
            late.fresh = false;
        }
    }

    /// Every claim in the state, or on its way there.
    pub fn claims_mut(&mut self) -> impl Iterator<Item = &mut Claim> {
        let of_late = self.late.as_mut().and_then(|late| late.secret.claim.as_mut());
        self.secret.claim.as_mut().into_iter().chain(of_late)
    }

    /// A token that is sent again on the strength of the server's window.
    pub fn relies_on_window(&self) -> Option<Token> {
        let late = self.late.and_then(|late| late.secret.claim);
        let claims = self.secret.claim.into_iter().chain(late);
        let mut all = claims.flat_map(|claim| {
            let displaced = claim.displaced.map(Displaced::claim);
            [claim].into_iter().chain(displaced)
        });
        all.find(|claim| claim.window_is_open).map(|claim| claim.token)
    }

    /// So much time passes that no claim on this token is young any more.
    pub fn age(&mut self, token: Token) {
        for running in self.processes.iter_mut().flat_map(|process| &mut process.running) {
            running.young &= running.machine.intent().is_none_or(|intent| intent.token != token);
        }
    }

    /// Requests that the authorization server has not seen yet.
    pub fn on_the_wire(&self) -> impl Iterator<Item = Token> {
        let of_processes = self.processes.iter().filter_map(|process| process.running.as_ref());
        of_processes.filter(|running| running.on_the_wire).map(Running::token).chain(self.stray)
    }

    /// A token was committed: what happened to its family before did no harm, unless a request is still on its way.
    /// or about to go out.
    pub fn committed(&mut self, token: Token, exchange: u8) {
        let lineage = family(token);
        let others = self.processes.iter().filter_map(|process| process.running.as_ref());
        let is_spending = others
            .filter(|other| other.id > 0 && other.id != exchange)
            .any(|other| family(other.token()) == lineage && other.answer.is_none());
        if !is_spending && self.stray.is_none() && self.server.accepts(token) {
            self.causes[lineage] = 0;
        }
    }
}
