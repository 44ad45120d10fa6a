//! The search for the highest rate at which a program loses nothing.

/// Attempts to confirm a rate, each slower than the one before, before none is reported.
const CONFIRMATIONS: usize = 12;
/// How much slower each is. Large steps would make the result depend on a single run more than on the program.
const SLOWER: f64 = 0.97;

/// A binary search. A step is a run at a rate, and whether it lost something.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// Nothing was lost at this rate, or it was not tried.
    low: f64,
    /// Something was lost at this rate.
    high: f64,
    steps: usize,
    confirmations: usize,
    /// What was offered in the last step without loss.
    best: Option<f64>,
    found: Option<f64>,
}

impl Search {
    /// Begins with a run as fast as possible: what was counted then is near the limit of the program. A step halves the range
    /// of rates.
    pub(crate) fn below(offered: f64, share_counted: f64, is_right: bool, steps: usize) -> Self {
        let about = offered * share_counted;
        let (low, high) = (about * 0.25, (about * 1.25).min(offered));
        let found = is_right.then_some(offered);
        let confirmations = if is_right { 0 } else { CONFIRMATIONS };
        Self { low, high, steps: if is_right { 0 } else { steps }, confirmations, best: None, found }
    }

    /// The rate of the next run; `None` at the end.
    pub(crate) fn next(&self) -> Option<f64> {
        match (self.steps, self.confirmations) {
            (0, 0) => None,
            (0, _) => Some(self.low),
            _ => Some(f64::midpoint(self.low, self.high)),
        }
    }

    /// Adds the run at the [next](Self::next) rate.
    pub(crate) fn add(&mut self, offered: f64, is_right: bool) {
        let Some(rate) = self.next() else { return };
        if self.steps > 0 {
            self.steps -= 1;
            if is_right {
                self.low = rate;
                self.best = Some(offered);
            } else {
                self.high = rate;
            }
            return;
        }
        // A single lucky run does not prove a rate: confirm it.
        if is_right {
            self.found = Some(self.best.map_or(offered, |best| best.min(offered)));
            self.confirmations = 0;
        } else {
            self.low *= SLOWER;
            self.best = None;
            self.confirmations -= 1;
        }
    }

    /// What was offered at the highest rate without loss; `None` before the end, and if no such rate was found.
    pub(crate) const fn found(&self) -> Option<f64> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches for the limit of a program that loses nothing below it, except in these runs.
    fn search(limit: f64, unlucky: &[usize]) -> Option<f64> {
        let mut search = Search::below(10.0, limit / 10.0, limit >= 10.0, 8);
        let mut run = 0;
        while let Some(rate) = search.next() {
            search.add(rate, rate < limit && !unlucky.contains(&run));
            run += 1;
        }
        search.found()
    }

    #[test]
    fn the_highest_rate_without_loss_is_found() {
        let found = search(4.0, &[]).unwrap();
        assert!((3.97..4.0).contains(&found), "{found}");
        assert_eq!(search(11.0, &[]), Some(10.0), "as fast as possible loses nothing");
    }

    #[test]
    fn a_rate_that_is_not_confirmed_is_not_found() {
        let found = search(4.0, &[8, 9]).unwrap();
        assert!((3.7..3.8).contains(&found), "{found}");
        assert_eq!(search(4.0, &(8..20).collect::<Vec<_>>()), None);
    }
}
