//! A process of the operator: what it has in memory, and the journal of its pod.

use oauth_keeper::lifecycle::rotation::exchange::{Effect, Exchange, Intent};

use crate::server::Answer;
use crate::world::{Record, Token};

/// A process and its pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// The exchange under way.
    pub running: Option<Running>,
    /// The journal: it outlives the process, but not the pod.
    pub journal: Option<Entry>,
    /// Whether the journal is still to be settled.
    pub replay: Replay,
    /// The newest record that the process wrote or read.
    pub newest: Option<Record>,
    /// An exchange whose claim means nothing.
    pub dismissed: Option<u8>,
}

/// How far a process is with the journal that it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Replay {
    /// There is nothing to settle.
    #[default]
    Done,
    /// It is to be settled.
    Due,
    /// A record was written; it is to be seen in the state.
    Written,
}

/// An exchange under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Running {
    /// The machine under test.
    pub machine: Exchange<Token>,
    /// What it wants done.
    pub next: Effect<Token>,
    /// The exchange, once it makes its claim.
    pub id: u8,
    /// The seed that was read.
    pub seed: Token,
    /// No generation up to this one is given again.
    pub floor: u8,
    /// Nobody wrote the state since it was read.
    pub fresh: bool,
    /// The claim was written.
    pub claimed: bool,
    /// The claim is young enough.
    pub young: bool,
    /// The lease has not moved since the claim.
    pub same_term: bool,
    /// The request was sent and the server has not seen it.
    pub on_the_wire: bool,
    /// What came back.
    pub answer: Option<Answer>,
    /// The answer is in the journal.
    pub journaled: bool,
    /// The record as it was last tried to write.
    pub tried: Option<Record>,
    /// The claim took the place of another process's.
    pub took_over: bool,
    /// The state was seen to hold the answer, or a newer one.
    pub settled: bool,
}

impl Running {
    /// What is spent.
    pub fn intent(&self) -> &Intent<Token> {
        self.machine.intent().unwrap()
    }

    /// The token that is spent.
    pub fn token(&self) -> Token {
        self.intent().token
    }

    /// All that is needed to commit its answer.
    pub fn entry(&self) -> Entry {
        let intent = self.intent();
        Entry {
            exchange: self.id,
            seed: self.seed,
            token: intent.token,
            new_lineage: intent.new_lineage,
            base_generation: u8::try_from(intent.base_generation).unwrap(),
            floor: self.floor,
            sent: self.on_the_wire || self.answer.is_some(),
            answer: self.answer,
        }
    }
}

/// An entry of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its exchange.
    pub exchange: u8,
    /// The seed that was read.
    pub seed: Token,
    /// The token that is spent.
    pub token: Token,
    /// Whether that is a seed never seen.
    pub new_lineage: bool,
    /// Generation of the state it was chosen from.
    pub base_generation: u8,
    /// No generation up to this one is given again.
    pub floor: u8,
    /// Whether the token was about to be sent.
    pub sent: bool,
    /// What came back.
    pub answer: Option<Answer>,
}

impl Entry {
    /// The token that the answer makes the newest, if it does.
    pub fn brings(&self) -> Option<Token> {
        match self.answer {
            Some(Answer::Granted(successor)) => Some(successor.unwrap_or(self.token)),
            _ => None,
        }
    }
}
