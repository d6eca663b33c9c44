//! A setting that is explored: the server, how the operator is run, and how much may go wrong.

use oauth_keeper::lifecycle::rotation::exchange::Effect;

use crate::process::Running;
use crate::server::Rotation;
use crate::world::{World, family};

/// A setting.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the server does.
    pub rotation: Rotation,
    /// `provider.reuseGrace`: a window, none, or not set.
    pub reuse_grace: Option<bool>,
    /// Whether the processes elect a leader.
    pub elects: bool,
    /// So many claims.
    pub claims: u8,
    /// So many faults.
    pub faults: u8,
    /// Whether it begins with a token that was sent as often as it is sent.
    pub given_up: bool,
    /// Whether the first seed can be put back after a new one.
    pub puts_back: bool,
    /// A rule that is left out.
    pub without: Option<Rule>,
}

/// A rule of the protocol. Without it a token is lost, or another rule broken; that shows that these tests can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing is sent in another term than that of the claim, or when the claim is not young.
    SendGuard,
    /// What is harmless within the server's window only is not sent after it.
    WindowGuard,
    /// A living holder is waited for.
    Patience,
    /// The answer is journaled before all else.
    Journal,
    /// A result is written only as long as nobody else committed.
    Generation,
    /// The claim is written only on top of what was read.
    CompareAndSwap,
    /// A claim that is found beside a newer record than it was made for is not used.
    FreshClaim,
    /// A human's new token is written whatever else was committed.
    NewSeedWins,
    /// A claim whose outcome is unknown stays, as a mark.
    Mark,
    /// What a claim says of earlier tries counts also when the claim itself means nothing.
    MarkOutlivesClaim,
    /// The journal is freed after the state was read.
    ReadBack,
    /// What the process knows is newer than a state that was set back.
    Memory,
    /// A state that is older than the target is not used.
    Outdated,
    /// A new seed that is being spent is waited for as any other token.
    SeedIsClaimed,
    /// What the process knows is looked at before the target.
    MemoryFirst,
    /// A dead lineage stays dead.
    Terminal,
    /// A claim keeps what it took the place of.
    Displaced,
}

impl Setup {
    /// One to begin with.
    pub const fn of(rotation: Rotation) -> Self {
        let reuse_grace = Some(matches!(rotation, Rotation::Window | Rotation::Ample));
        Self {
            rotation,
            reuse_grace,
            elects: true,
            claims: 3,
            faults: 2,
            given_up: false,
            puts_back: false,
            without: None,
        }
    }

    /// Whether the server rotates.
    pub fn rotates(&self) -> bool {
        self.rotation != Rotation::Never
    }

    /// Whether a rule is left out.
    pub fn is_without(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    /// Whether an exchange may go on. Where a window is open nobody waits for a request that is on its way, so there it is
    /// with the server before the next renewal.
    pub fn may_step(&self, world: &World, running: &Running) -> bool {
        let Effect::Claim(intent) = &running.next else { return true };
        let is_older = |sent| family(sent) == family(intent.token) && sent != intent.token;
        let is_late = self.reuse_grace == Some(true) && world.on_the_wire().any(is_older);
        world.claims < self.claims && !is_late
    }
}
