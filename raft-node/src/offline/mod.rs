//! What is done to the data directories of nodes that do not run: a new cluster out of what is left of an old
//! one whose majority is lost, or out of a backup.
//!
//! A [`Survey`] locks the survivors' directories, reads their logs, and says whose is the most up to date and
//! what may be lost. It changes nothing. [`Survey::refound`] then writes the directories of the new cluster's
//! members, each whole beside the old one, and exchanges them only when all are there.

mod error;
mod exchange;
mod restore;
mod snapshot;
mod survey;

#[cfg(test)]
mod tests;

pub use error::OfflineError;
pub(crate) use exchange::{complete, is_exchange};
pub use restore::{Restored, restore};
pub use snapshot::CopyError;
pub use survey::{Founded, Survey, Survivor};
