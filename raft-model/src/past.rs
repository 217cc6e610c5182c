//! What has been: the part of a state that no server remembers, and the properties are about.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use raft_core::entry::Entry;
use raft_core::replica::model::project_entry;
use raft_core::types::{LogIndex, Term};

use crate::machine::Applied;
use crate::names::{Place, Renaming};
use crate::print::Transcript;

/// What has been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Who led which term.
    pub(crate) leaders: BTreeMap<Term, Place>,
    /// Who said that it votes for whom.
    pub(crate) votes: BTreeMap<(Place, Term), Place>,
    /// From index 1, each with the lowest term in which a server knew that it is committed.
    pub(crate) committed: Vec<(Entry, Term)>,
    /// What executing the log gives, as far as any server has come.
    pub(crate) executed: Vec<Applied>,
    /// Up to here clients know that their commands took effect.
    pub(crate) acknowledged: LogIndex,
    /// Reads without an answer, each with what it has to see.
    pub(crate) reads: Vec<LogIndex>,
    /// Whether a read was answered.
    pub(crate) answered: bool,
}

impl Past {
    pub(crate) fn print(&self, renaming: &Renaming) -> u64 {
        let Past { leaders, votes, committed, executed, acknowledged, reads, answered } = self;
        let mut out = Transcript::default();
        for (term, leader) in leaders {
            (0u8, term, renaming.of(*leader)).hash(&mut out);
        }
        let renamed = votes
            .iter()
            .map(|((voter, term), candidate)| (renaming.of(*voter), *term, renaming.of(*candidate)));
        let mut votes: Vec<_> = renamed.collect();
        votes.sort_unstable();
        votes.hash(&mut out);
        for (entry, since) in committed {
            project_entry(entry, &mut out);
            since.hash(&mut out);
        }
        // What was executed is what is committed, so far.
        (executed.len(), reads, answered).hash(&mut out);
        // Only reads are held against it.
        acknowledged.hash(&mut out);
        out.finish()
    }
}
