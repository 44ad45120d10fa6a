//! A limited number of turns, for which parties wait in rotation: a party with many requests waits for its own, and others
//! do not wait for them. A free turn goes to the party whose last one is longest ago, and there to its oldest request.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::party::Party;

/// Turns that parties take in rotation.
#[derive(Debug)]
pub(crate) struct Turns {
    limits: Limits,
    table: Mutex<Table>,
}

/// How many turns there are at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) all: usize,
    /// More of them for keys that permit everything.
    pub(crate) for_admins: usize,
    /// For each party.
    pub(crate) each: usize,
}

#[derive(Debug, Default)]
struct Table {
    /// The ticket of the next request: tickets order by age.
    next_ticket: u64,
    /// The number of turns so far.
    granted: u64,
    taken: usize,
    /// Every key that has ever waited, and strangers as long as they wait or have a turn.
    lines: HashMap<Party, Line>,
}

/// One party.
#[derive(Debug, Default)]
struct Line {
    taken: usize,
    /// The number of its last turn; 0 before the first.
    last: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Turn>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
    party: Party,
    /// Whether it counts among those of all parties.
    counts_for_all: bool,
}

/// The wait for a turn. Dropping it ends the wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    turns: Arc<Turns>,
    party: Party,
    ticket: u64,
    turn: oneshot::Receiver<Turn>,
}

impl Turns {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// Waits for a turn, from now on.
    pub(crate) fn take(self: &Arc<Self>, party: Party) -> Waiting {
        let (granted, turn) = oneshot::channel();
        let mut ticket = 0;
        self.change(|table| {
            ticket = table.next_ticket;
            table.next_ticket += 1;
            table.lines.entry(party).or_default().waiting.insert(ticket, granted);
        });
        Waiting { turns: Arc::clone(self), party, ticket, turn }
    }

    /// Changes the table, and grants the turns that are free then.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Table)) {
        let mut table = self.lock();
        change(&mut table);
        let granted: Vec<_> = std::iter::from_fn(|| table.next(self.limits)).collect();
        drop(table);
        for (party, granted) in granted {
            // To one that has just gone: dropping it frees the turn again.
            let _ = granted.send(Turn { turns: Arc::clone(self), party, counts_for_all: true });
        }
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().lines.values().map(|line| line.waiting.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No method leaves the table half changed.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The next request for which there is a turn; it counts as taken.
    fn next(&mut self, limits: Limits) -> Option<(Party, oneshot::Sender<Turn>)> {
        let all = |party: &Party| limits.all + if party.is_admin() { limits.for_admins } else { 0 };
        let may = |(party, line): &(&Party, &mut Line)| self.taken < all(party) && line.taken < limits.each;
        let waiting = self.lines.iter_mut().filter(|(_, line)| !line.waiting.is_empty());
        let age = |line: &Line| (line.last, line.waiting.first_key_value().map(|(ticket, _)| *ticket));
        let (party, line) = waiting.filter(may).min_by_key(|(_, line)| age(line))?;
        let (_, granted) = line.waiting.pop_first()?;
        self.granted += 1;
        self.taken += 1;
        line.last = self.granted;
        line.taken += 1;
        Some((*party, granted))
    }

    fn leave(&mut self, party: Party, ticket: u64) {
        if let Some(line) = self.lines.get_mut(&party) {
            line.waiting.remove(&ticket);
        }
        self.tidy(party);
    }

    fn give_back(&mut self, party: Party, counts_for_all: bool) {
        if let Some(line) = self.lines.get_mut(&party) {
            line.taken -= 1;
            self.taken -= usize::from(counts_for_all);
        }
        self.tidy(party);
    }

    /// Forgets a stranger that neither waits nor has a turn: there may be any number of them. The line of a key stays, so
    /// that its last turn counts, but keeps no memory: its next request costs exactly what one of a stranger costs.
    fn tidy(&mut self, party: Party) {
        let Some(line) = self.lines.get_mut(&party).filter(|line| line.taken == 0 && line.waiting.is_empty()) else {
            return;
        };
        line.waiting = BTreeMap::new();
        if party.is_stranger() {
            self.lines.remove(&party);
        }
    }
}

impl Turn {
    /// From now on it is only one of its party's turns: others may have theirs beside it.
    pub(crate) fn make_way(&mut self) {
        if std::mem::take(&mut self.counts_for_all) {
            self.turns.change(|table| table.taken -= 1);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.change(|table| table.give_back(self.party, self.counts_for_all));
    }
}

impl Future for Waiting {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        match Pin::new(&mut self.turn).poll(context) {
            Poll::Ready(Ok(turn)) => Poll::Ready(turn),
            // A sender stays in its line until it is used.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.turns.lock().leave(self.party, self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::party::KeyId;

    fn key(name: char) -> Party {
        Party::Key(KeyId::of(name.to_string().as_bytes()))
    }

    fn turns(all: usize, each: usize) -> Arc<Turns> {
        Turns::new(Limits { all, for_admins: 0, each })
    }

    fn is_at_rest(turns: &Turns) -> bool {
        turns.waiting() == 0 && turns.lock().taken == 0
    }

    fn poll(waiting: &mut Waiting) -> Poll<Turn> {
        Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Requests that wait, or have their turn, by name.
    struct Requests(Vec<(String, Result<Turn, Waiting>)>);

    impl Requests {
        fn of(turns: &Arc<Turns>, names: &[&str]) -> Self {
            let take = |name: &&str| ((*name).to_owned(), Err(turns.take(key(name.chars().next().unwrap()))));
            Self(names.iter().map(take).collect())
        }

        /// The names of those that have a turn.
        fn with_turn(&mut self) -> Vec<&str> {
            for (_, state) in &mut self.0 {
                if let Err(waiting) = state
                    && let Poll::Ready(turn) = poll(waiting)
                {
                    *state = Ok(turn);
                }
            }
            self.0.iter().filter(|(_, state)| state.is_ok()).map(|(name, _)| name.as_str()).collect()
        }

        fn end(&mut self, name: &str) {
            self.0.retain(|(other, _)| other != name);
        }

        /// Ends those with a turn one by one; the order in which all had theirs.
        fn order(mut self) -> String {
            let mut order = Vec::new();
            while let Some(name) = self.with_turn().first().map(|name| (*name).to_owned()) {
                self.end(&name);
                order.push(name);
            }
            order.join(" ")
        }
    }

    #[test]
    fn parties_take_turns_in_rotation_however_many_requests_one_of_them_has() {
        let turns = turns(1, 1);
        let requests = Requests::of(&turns, &["a1", "a2", "a3", "a4", "b1", "b2", "c1"]);
        assert_eq!(requests.order(), "a1 b1 c1 a2 b2 a3 a4");
        assert!(is_at_rest(&turns));
    }

    #[test]
    fn a_short_request_waits_for_one_turn_of_a_party_with_hundreds() {
        let turns = turns(1, 1);
        let names: Vec<String> = (0..600).map(|number| format!("a{number}")).collect();
        let mut requests = Requests::of(&turns, &names.iter().map(String::as_str).collect::<Vec<_>>());
        for round in 0..100 {
            let mut short = turns.take(key('b'));
            assert!(poll(&mut short).is_pending());
            assert_eq!(requests.with_turn(), [format!("a{round}")]);
            requests.end(&format!("a{round}"));
            let turn = poll(&mut short);
            assert!(turn.is_ready() && requests.with_turn().is_empty());
        }
        assert_eq!(turns.waiting(), 500 - 1);
    }

    #[test]
    fn one_party_has_only_its_share_of_the_turns() {
        let turns = turns(4, 2);
        let mut requests = Requests::of(&turns, &["a1", "a2", "a3", "b1", "c1", "c2"]);
        assert_eq!(requests.with_turn(), ["a1", "a2", "b1", "c1"]);
        requests.end("b1");
        assert_eq!(requests.with_turn(), ["a1", "a2", "c1", "c2"], "a has its share");
        requests.end("a2");
        assert_eq!(requests.with_turn(), ["a1", "a3", "c1", "c2"]);
    }

    #[test]
    fn keys_that_permit_everything_have_turns_of_their_own_beside_all_others() {
        let turns = Turns::new(Limits { all: 2, for_admins: 1, each: 2 });
        let mut requests = Requests::of(&turns, &["a1", "b1"]);
        assert_eq!(requests.with_turn().len(), 2);
        let admin = Party::Admin(KeyId::of(b"admin"));
        let first = poll(&mut turns.take(admin));
        assert!(first.is_ready() && poll(&mut turns.take(admin)).is_pending());
    }

    #[test]
    fn a_turn_that_makes_way_counts_for_its_party_alone() {
        let turns = turns(2, 2);
        let mut requests = Requests::of(&turns, &["a1", "a2", "a3", "b1"]);
        assert_eq!(requests.with_turn(), ["a1", "a2"]);
        let (_, first) = &mut requests.0[0];
        for _ in 0..2 {
            first.as_mut().unwrap().make_way();
        }
        assert_eq!(requests.with_turn(), ["a1", "a2", "b1"]);
        requests.end("a1");
        assert_eq!(requests.with_turn(), ["a2", "b1"], "there are two turns");
        requests.end("b1");
        assert_eq!(requests.with_turn(), ["a2", "a3"]);
        drop(requests);
        assert!(is_at_rest(&turns));
    }

    #[test]
    fn two_parties_that_always_wait_do_not_starve_a_third() {
        let turns = turns(1, 1);
        let mut requests = Requests::of(&turns, &["a", "b", "c"]);
        let mut order = String::new();
        for _ in 0..9 {
            let name = requests.with_turn()[0].to_owned();
            requests.end(&name);
            order.push_str(&name);
            requests.0.extend(Requests::of(&turns, &[&name]).0);
        }
        assert_eq!(order, "abcabcabc");
    }

    #[test]
    fn strangers_leave_no_line() {
        let turns = turns(1, 1);
        let stranger = |last| Party::Stranger([192, 0, 2, last].into());
        let turn = poll(&mut turns.take(stranger(1)));
        drop((turns.take(stranger(2)), turns.take(stranger(1))));
        assert_eq!(turns.lock().lines.len(), 1);
        drop(turn);
        assert!(turns.lock().lines.is_empty());
    }

    #[test]
    fn a_request_that_has_gone_has_no_turn_and_does_not_wait() {
        let turns = turns(1, 1);
        let mut requests = Requests::of(&turns, &["a1", "a2", "b1", "a3"]);
        assert_eq!(requests.with_turn(), ["a1"]);
        requests.end("b1");
        requests.end("a2");
        assert_eq!(turns.waiting(), 1);
        // One that is granted its turn, and has gone before it learns of it.
        let mut gone = Requests::of(&turns, &["b2"]);
        requests.end("a1");
        assert!(requests.with_turn().is_empty());
        gone.end("b2");
        assert_eq!(requests.with_turn(), ["a3"]);
        requests.end("a3");
        assert!(is_at_rest(&turns));
    }
}
