//! Is there an order in which one register could have done what the clients saw, each operation somewhere
//! between its question and its answer (Herlihy and Wing)? A depth-first search over what may come next,
//! with a memory of the states it has been in (Wing and Gong; Lowe). It does not know how the answers came
//! about; the log only suggests which operation to try first.

use std::collections::HashSet;

/// What an operation does to the register of one key. Values are numbers that no two writes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Gives the key a value.
    Write(u64),
    /// Removes the key; the answer, if there was one, says whether it was there.
    Delete(Option<bool>),
    /// Finds a value, or none.
    Read(Option<u64>),
}

/// An operation as its client saw it.
#[derive(Clone, Debug)]
pub struct Call {
    /// What it did.
    pub action: Action,
    /// When it was asked for: a place in the order of all questions and answers.
    pub asked: u64,
    /// When it was answered; if never, it may have taken effect at any time after, or not at all.
    pub answered: Option<u64>,
    /// Where it may stand in the order, to be tried first.
    pub suggested: u64,
}

/// States looked at before the search gives up. Histories of the length that the simulator makes need a few
/// hundred.
const MOST_STATES: usize = 1 << 20;

/// What came of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// There is such an order.
    Found,
    /// There is none.
    None,
    /// The search was given up.
    Undecided,
}

struct Course<'a> {
    calls: &'a [Call],
    been: HashSet<(Vec<u64>, Option<u64>)>,
}

/// Whether such an order exists.
#[must_use]
pub fn search(calls: &[Call]) -> Search {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| (call.suggested, call.asked));
    let done = vec![0; calls.len().div_ceil(64)];
    let to_do = calls.iter().filter(|call| call.answered.is_some()).count();
    let mut course = Course { calls: &calls, been: HashSet::new() };
    match course.goes_on(done, to_do, None) {
        true => Search::Found,
        false if course.been.len() >= MOST_STATES => Search::Undecided,
        false => Search::None,
    }
}

impl Course<'_> {
    fn goes_on(&mut self, mut done: Vec<u64>, mut to_do: usize, value: Option<u64>) -> bool {
        // What changes nothing and fits may as well come now: no order is lost by that.
        loop {
            let neutral = self.candidates(&done).find(|&at| self.is_neutral(at, value));
            let Some(at) = neutral else { break };
            done[at / 64] |= 1 << (at % 64);
            to_do -= usize::from(self.calls[at].answered.is_some());
        }
        if to_do == 0 {
            return true;
        }
        if self.been.len() >= MOST_STATES || !self.been.insert((done.clone(), value)) {
            return false;
        }
        let candidates: Vec<usize> = self.candidates(&done).collect();
        candidates.into_iter().any(|at| {
            let after = match self.calls[at].action {
                Action::Write(written) => Some(written),
                Action::Delete(existed) if existed.is_none_or(|existed| existed == value.is_some()) => None,
                Action::Delete(_) | Action::Read(_) => return false,
            };
            let mut done = done.clone();
            done[at / 64] |= 1 << (at % 64);
            self.goes_on(done, to_do - usize::from(self.calls[at].answered.is_some()), after)
        })
    }

    /// Operations that were asked for before any that is left was answered.
    fn candidates(&self, done: &[u64]) -> impl Iterator<Item = usize> {
        let is_left = |at: &usize| done[at / 64] & (1 << (at % 64)) == 0;
        let left = (0..self.calls.len()).filter(is_left);
        let first_answer = left.clone().filter_map(|at| self.calls[at].answered).min().unwrap_or(u64::MAX);
        left.filter(move |&at| self.calls[at].asked < first_answer)
    }

    fn is_neutral(&self, at: usize, value: Option<u64>) -> bool {
        match self.calls[at].action {
            Action::Read(found) => found == value,
            Action::Delete(existed) => value.is_none() && existed == Some(false),
            Action::Write(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: Action, asked: u64, answered: u64) -> Call {
        Call { action, asked, answered: Some(answered), suggested: 0 }
    }

    fn lost(action: Action, asked: u64) -> Call {
        Call { action, asked, answered: None, suggested: 0 }
    }

    #[test]
    fn what_a_register_can_do() {
        use Action::{Delete, Read, Write};
        let w = |value, asked, answered| call(Write(value), asked, answered);
        let r = |found, asked, answered| call(Read(found), asked, answered);
        let d = |existed, asked, answered| call(Delete(Some(existed)), asked, answered);
        let fine: &[&[Call]] = &[
            &[],
            &[r(None, 1, 2), w(1, 3, 4), r(Some(1), 5, 6)],
            &[w(1, 1, 10), r(None, 2, 3), r(Some(1), 4, 5)],
            &[w(1, 1, 10), w(2, 2, 9), r(Some(2), 3, 4), r(Some(1), 5, 6)],
            &[w(1, 1, 2), lost(Write(2), 3), r(Some(1), 4, 5), r(Some(2), 6, 7), r(Some(2), 8, 9)],
            &[w(1, 1, 2), lost(Write(2), 3), r(Some(1), 4, 5)],
            &[w(1, 1, 2), d(true, 3, 4), d(false, 5, 6), r(None, 7, 8)],
            &[w(1, 1, 2), lost(Delete(None), 3), r(Some(1), 4, 5), r(None, 6, 7)],
        ];
        for calls in fine {
            assert_eq!(search(calls), Search::Found, "{calls:?}");
        }
        let wrong: &[&[Call]] = &[
            &[r(Some(1), 1, 2)],
            &[w(1, 1, 2), r(None, 3, 4)],
            &[w(1, 1, 2), w(2, 3, 4), r(Some(1), 5, 6)],
            &[w(1, 1, 10), r(Some(1), 2, 3), r(None, 4, 5)],
            &[w(1, 1, 2), lost(Write(2), 3), r(Some(2), 4, 5), r(Some(1), 6, 7)],
            &[w(1, 1, 2), d(false, 3, 4)],
            &[w(1, 1, 2), d(true, 3, 4), d(true, 5, 6)],
            &[lost(Write(1), 5), r(Some(1), 1, 2)],
        ];
        for calls in wrong {
            assert_eq!(search(calls), Search::None, "{calls:?}");
        }
    }
}
