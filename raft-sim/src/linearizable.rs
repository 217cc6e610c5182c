//! Is there an order in which one register could have done what the clients saw, each operation somewhere
//! between its question and its answer (Herlihy and Wing)? A depth-first search over what may come next,
//! with a memory of the states it has been in (Wing and Gong; Lowe). It does not know how the answers came
//! about; the log only suggests which operation to try first.
//!
//! What nobody heard the end of may take effect at any later time or never, and would double the states each
//! time. It does not, because no two writes share a value: a write that somebody read took effect before that
//! read was answered; one that nobody read matters only to a deletion that found something, right after it;
//! an unheard deletion only to what finds nothing, right after it. Among those that can do the same, the one
//! asked for first will do. For the same reason a value that is gone does not come back: an order in which it
//! goes before all who read it have done so leads nowhere, and is left at once.

use std::collections::{HashMap, HashSet};

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

/// States looked at before the search gives up: some per operation where there is an order, and where there
/// is none, all that can be reached before the place where it breaks.
const MOST_STATES: usize = 1 << 20;

/// What came of the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// There is such an order.
    Found,
    /// There is none.
    None(Stuck),
    /// The search was given up.
    Undecided(Stuck),
}

/// Where the longest beginning of an order ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// How many operations are in it.
    pub placed: usize,
    /// What the register holds then.
    pub value: Option<u64>,
    /// Operations, by their place in the list that was searched, of which one would have to come next.
    pub next: Vec<usize>,
    /// Those that read this value later, so that nothing else may come.
    pub unread: Vec<usize>,
}

/// How far an order has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    value: Option<u64>,
    /// All of `Register::due` before this place have taken effect
    next: usize,
    /// but these.
    left: Vec<usize>,
    /// So many of `Register::deletions`.
    deletions: usize,
    /// So many of `Register::writes`.
    writes: usize,
}

struct Register<'a> {
    calls: &'a [Call],
    /// What must have taken effect, in the order in which it was asked for, and by when.
    due: Vec<(usize, u64)>,
    /// Deletions of which nobody heard, the first asked for first.
    deletions: Vec<usize>,
    /// Writes of which nobody heard and which nobody read.
    writes: Vec<usize>,
    /// Who read a value: places in `due`.
    readers: HashMap<u64, Vec<usize>>,
}

/// Whether such an order exists.
#[must_use]
pub fn search(calls: &[Call]) -> Search {
    let register = Register::new(calls);
    let mut been = HashSet::new();
    let mut stuck = Stuck::default();
    let mut course = vec![vec![State::default()].into_iter()];
    while let Some(branches) = course.last_mut() {
        let Some(state) = branches.next() else {
            course.pop();
            continue;
        };
        let state = register.settled(state);
        if state.placed() == register.due.len() {
            return Search::Found;
        }
        if been.is_empty() || state.placed() > stuck.placed {
            stuck = register.stuck(&state);
        }
        if been.len() >= MOST_STATES {
            return Search::Undecided(stuck);
        }
        if been.insert(state.clone()) {
            course.push(register.after(&state).into_iter());
        }
    }
    Search::None(stuck)
}

impl State {
    fn placed(&self) -> usize {
        self.next - self.left.len()
    }

    fn is_done(&self, at: usize) -> bool {
        at < self.next && self.left.binary_search(&at).is_err()
    }

    fn take(&mut self, at: usize) {
        match self.left.binary_search(&at) {
            Ok(place) => {
                self.left.remove(place);
            }
            Err(_) => {
                self.left.extend(self.next..at);
                self.next = at + 1;
            }
        }
    }
}

impl<'a> Register<'a> {
    fn new(calls: &'a [Call]) -> Register<'a> {
        let mut read_by = HashMap::new();
        for call in calls {
            if let (Action::Read(Some(value)), Some(answered)) = (call.action, call.answered) {
                let first = read_by.entry(value).or_insert(answered);
                *first = answered.min(*first);
            }
        }
        let mut order: Vec<usize> = (0..calls.len()).collect();
        order.sort_by_key(|&at| calls[at].asked);
        let (due, deletions, writes, readers) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
        let mut register = Register { calls, due, deletions, writes, readers };
        for at in order {
            let call = &calls[at];
            let by = match call.action {
                Action::Write(value) => call.answered.into_iter().chain(read_by.get(&value).copied()).min(),
                Action::Delete(_) | Action::Read(_) => call.answered,
            };
            if let (Some(_), Action::Read(Some(value))) = (by, call.action) {
                register.readers.entry(value).or_default().push(register.due.len());
            }
            match (by, call.action) {
                (Some(by), _) => register.due.push((at, by.max(call.asked.saturating_add(1)))),
                (None, Action::Write(_)) => register.writes.push(at),
                (None, Action::Delete(_)) => register.deletions.push(at),
                (None, Action::Read(_)) => {}
            }
        }
        register
    }

    fn stuck(&self, state: &State) -> Stuck {
        let next = self.candidates(state).into_iter().map(|at| self.due[at].0).collect();
        let unread = self.unread(state).map(|at| self.due[at].0).collect();
        Stuck { placed: state.placed(), value: state.value, next, unread }
    }

    fn action(&self, at: usize) -> Action {
        self.calls[self.due[at].0].action
    }

    /// What is left and was asked for before any of it was over, and when the first of it was over.
    fn window(&self, state: &State) -> (Vec<usize>, u64) {
        let (mut open, mut over) = (Vec::new(), u64::MAX);
        for at in state.left.iter().copied().chain(state.next..self.due.len()) {
            let (call, by) = self.due[at];
            if self.calls[call].asked >= over {
                break;
            }
            open.push(at);
            over = over.min(by);
        }
        open.retain(|at| self.calls[self.due[*at].0].asked < over);
        (open, over)
    }

    fn candidates(&self, state: &State) -> Vec<usize> {
        self.window(state).0
    }

    /// Who read what the register holds and is yet to do so.
    fn unread(&self, state: &State) -> impl Iterator<Item = usize> {
        let readers = state.value.and_then(|value| self.readers.get(&value));
        readers.into_iter().flatten().copied().filter(|at| !state.is_done(*at))
    }

    /// What changes nothing and fits may as well come now: no order is lost by that.
    fn settled(&self, mut state: State) -> State {
        loop {
            let is_neutral = |at: &usize| match self.action(*at) {
                Action::Read(found) => found == state.value,
                Action::Delete(existed) => state.value.is_none() && existed == Some(false),
                Action::Write(_) => false,
            };
            let neutral: Vec<usize> = self.candidates(&state).into_iter().filter(is_neutral).collect();
            if neutral.is_empty() {
                return state;
            }
            neutral.into_iter().for_each(|at| state.take(at));
        }
    }

    /// The states that may come next, the suggested one first.
    fn after(&self, state: &State) -> Vec<State> {
        // Whatever changes something, once what fits was done, changes the value that is there.
        if self.unread(state).next().is_some() {
            return Vec::new();
        }
        let (candidates, over) = self.window(state);
        let unheard = |list: &[usize], used: usize| {
            list.get(used).copied().filter(|&call| self.calls[call].asked < over)
        };
        let mut branches = Vec::new();
        for &at in &candidates {
            let suggested = self.calls[self.due[at].0].suggested;
            let mut next = state.clone();
            next.take(at);
            match (self.action(at), state.value) {
                (Action::Write(value), _) => next.value = Some(value),
                (Action::Delete(Some(true) | None), Some(_)) | (Action::Delete(None), None) => {
                    next.value = None;
                }
                (Action::Delete(Some(true)), None) if unheard(&self.writes, state.writes).is_some() => {
                    next.writes += 1;
                }
                _ => continue,
            }
            branches.push((suggested, next));
        }
        let finds_nothing =
            |at: &usize| matches!(self.action(*at), Action::Read(None) | Action::Delete(Some(false)));
        if state.value.is_some()
            && candidates.iter().any(finds_nothing)
            && let Some(call) = unheard(&self.deletions, state.deletions)
        {
            let deletions = state.deletions + 1;
            branches.push((self.calls[call].suggested, State { value: None, deletions, ..state.clone() }));
        }
        branches.sort_by_key(|(suggested, _)| *suggested);
        branches.into_iter().map(|(_, state)| state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dice;

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
            &[w(1, 1, 2), lost(Write(2), 3), d(true, 4, 5), d(true, 6, 7), r(None, 8, 9)],
            &[w(1, 1, 2), lost(Delete(None), 3), r(None, 4, 5), w(2, 6, 7), r(Some(2), 8, 9)],
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
            &[w(1, 1, 2), lost(Write(2), 3), d(true, 4, 5), d(true, 6, 7), d(true, 8, 9)],
            &[w(1, 1, 2), lost(Delete(None), 3), r(None, 4, 5), r(Some(1), 6, 7)],
            &[w(1, 1, 2), r(None, 3, 4), lost(Delete(None), 5)],
            &[w(1, 1, 2), lost(Delete(None), 3), r(None, 4, 5), w(2, 6, 7), r(None, 8, 9)],
        ];
        for calls in wrong {
            assert!(matches!(search(calls), Search::None(_)), "{calls:?}");
        }
    }

    /// Tries every order there is.
    fn by_trying_all(calls: &[Call], value: Option<u64>) -> bool {
        let over = calls.iter().filter_map(|call| call.answered).min().unwrap_or(u64::MAX);
        if over == u64::MAX {
            return true;
        }
        (0..calls.len()).filter(|&at| calls[at].asked < over).any(|at| {
            let after = match calls[at].action {
                Action::Write(written) => Some(written),
                Action::Read(found) if found == value => value,
                Action::Delete(existed) if existed.is_none_or(|existed| existed == value.is_some()) => None,
                Action::Delete(_) | Action::Read(_) => return false,
            };
            let mut left = calls.to_vec();
            left.remove(at);
            by_trying_all(&left, after)
        })
    }

    /// A history of a few operations that overlap, half of them ones that could have happened.
    fn any_history(dice: &mut Dice) -> Vec<Call> {
        let count = 2 + dice.below(6);
        let (mut value, mut written) = (None, Vec::new());
        let mut calls = Vec::new();
        for number in 1..=count {
            let guess = match dice.below(3) {
                0 => None,
                1 if !written.is_empty() => Some(written[dice.below(written.len() as u64) as usize]),
                _ => value,
            };
            let mut action = match dice.below(5) {
                0 | 1 => Action::Write(number),
                2 => Action::Delete(Some(guess.is_some())),
                _ => Action::Read(guess),
            };
            match action {
                Action::Write(written_now) => {
                    value = Some(written_now);
                    written.push(written_now);
                }
                Action::Delete(_) => value = None,
                Action::Read(_) => {}
            }
            let asked = (number * 4).saturating_sub(dice.below(7));
            let mut answered = Some(number * 4 + 1 + dice.below(7));
            if dice.below(3) == 0 && !matches!(action, Action::Read(_)) {
                answered = None;
                if let Action::Delete(existed) = &mut action {
                    *existed = None;
                }
            }
            calls.push(Call { action, asked, answered, suggested: dice.below(3) });
        }
        calls
    }

    #[test]
    fn finds_what_trying_all_finds() {
        let mut dice = Dice::new(7);
        let mut counts = [0, 0];
        for _ in 0..30_000 {
            let calls = any_history(&mut dice);
            let expected = by_trying_all(&calls, None);
            assert_eq!(search(&calls) == Search::Found, expected, "{calls:?}");
            counts[usize::from(expected)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 3_000), "some are right and some wrong: {counts:?}");
    }

    /// One write after another, each read; every tenth operation nobody heard the end of, half of which took
    /// effect.
    fn long_history() -> Vec<Call> {
        let mut calls = Vec::new();
        for n in 0..3_000 {
            let at = n * 10;
            calls.push(call(Action::Write(n), at + 1, at + 4));
            if n % 10 == 3 {
                calls.push(lost(Action::Write(1_000_000 + n), at + 2));
                calls.push(lost(Action::Delete(None), at + 2));
            }
            calls.push(call(Action::Read(Some(n)), at + 5, at + 6));
            if n % 20 == 3 {
                calls.push(call(Action::Read(Some(1_000_000 + n)), at + 7, at + 8));
                calls.push(call(Action::Read(None), at + 8, at + 9));
            }
        }
        calls
    }

    #[test]
    fn a_write_found_only_at_the_end_is_not_spent_before() {
        let mut calls = long_history();
        for n in 0..10 {
            calls.push(lost(Action::Write(9_000_000 + n), n));
            calls.push(call(Action::Read(Some(9_000_000 + n)), 40_000 + n * 10, 40_001 + n * 10));
        }
        assert_eq!(search(&calls), Search::Found);
        calls.push(call(Action::Read(Some(9_000_003)), 20_007, 20_008));
        assert!(matches!(search(&calls), Search::None(_)));
    }

    #[test]
    fn operations_nobody_heard_of_do_not_make_it_long() {
        let mut calls = long_history();
        assert_eq!(search(&calls), Search::Found);
        let stale = call(Action::Read(Some(2_990)), 29_992, 29_993);
        calls.push(stale);
        let Search::None(stuck) = search(&calls) else { panic!("a stale read passed") };
        assert!(stuck.unread.contains(&(calls.len() - 1)), "it is named: {stuck:?}");
    }
}
