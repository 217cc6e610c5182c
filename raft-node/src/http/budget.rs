//! Bounds the memory that large requests and responses hold between them, so that many slow clients
//! cannot take it all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Code, Problem};

/// Bodies up to this size are not counted: the bound on connections bounds them.
const SMALL: usize = 64 << 10;
/// What all larger bodies may hold together.
const TOTAL: usize = 256 << 20;
/// What a listing is granted while it is made: a page of the store, about.
pub(super) const LISTING: usize = 8 << 20;
/// How long a listing waits for others to end.
const PATIENCE: Duration = Duration::from_secs(2);
/// Permits count kibibytes.
const UNIT: usize = 1 << 10;

/// Memory granted to one body.
#[derive(Debug)]
pub(crate) struct Grant(OwnedSemaphorePermit);

impl Grant {
    /// Gives back what is beyond `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let excess = self.0.num_permits().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.0.split(excess));
    }
}

/// The memory for large bodies of one server.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget(Arc::new(Semaphore::new(TOTAL / UNIT)))
    }

    /// Asks for this much; none where so little need not be counted.
    ///
    /// # Errors
    /// 429 when others hold too much.
    pub(crate) fn take(&self, bytes: usize) -> Result<Option<Grant>, Problem> {
        if bytes <= SMALL {
            return Ok(None);
        }
        match Arc::clone(&self.0).try_acquire_many_owned(units(bytes)) {
            Ok(permit) => Ok(Some(Grant(permit))),
            Err(_) => Err(busy()),
        }
    }

    /// Waits for this much for a while.
    ///
    /// # Errors
    /// 429 when others hold too much for too long.
    pub(crate) async fn wait(&self, bytes: usize) -> Result<Grant, Problem> {
        let acquiring = Arc::clone(&self.0).acquire_many_owned(units(bytes));
        match tokio::time::timeout(PATIENCE, acquiring).await {
            Ok(Ok(permit)) => Ok(Grant(permit)),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

fn busy() -> Problem {
    Problem::new(
        Code::Overloaded,
        "too many large requests and responses are under way on this node: try again later",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_share_what_there_is() {
        let budget = Budget::new();
        assert!(budget.take(SMALL).unwrap().is_none());
        let mut all = budget.take(TOTAL).unwrap().unwrap();
        assert_eq!(budget.take(SMALL + 1).unwrap_err().code, Code::Overloaded);
        assert!(budget.take(SMALL).unwrap().is_none(), "small ones go on");
        all.shrink(TOTAL / 2);
        let _half = budget.take(TOTAL / 2).unwrap().unwrap();
        assert!(budget.take(SMALL + 1).is_err());
        drop(all);
        assert!(budget.take(TOTAL / 2).is_ok());
    }
}
