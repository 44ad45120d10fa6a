//! Which calls to the disk and the store will fail.

use super::*;

impl World {
    pub(super) fn nothing_fails(&mut self) {
        self.disk.plan([]);
        self.disk.fail_always(None);
    }

    pub(super) fn plan_faults(&mut self) {
        self.story.push("faults planned".into());
        let kinds = [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::Interrupted, ErrorKind::ReadOnlyFilesystem];
        let kind = *self.random.pick(&kinds);
        let nth = self.random.below(12) as usize;
        let at_nth = |fault| std::iter::repeat_n(Fault::None, nth).chain([fault, fault]);
        match self.random.below(6) {
            0 => {
                let fault = if self.random.once_in(3) { Fault::Short } else { Fault::Error(kind) };
                self.disk.plan(at_nth(fault));
            }
            1 if kind != ErrorKind::Interrupted => self.disk.fail_always(Some(kind)),
            2 => self.nothing_fails(),
            3 | 4 => self.disk.plan(at_nth(Fault::Kill)),
            _ => {
                let Stored::Remote(store) = &self.stored else { return };
                // Occasionally, it is unreachable for a long time.
                let faults: &[_] = match self.random.below(4) {
                    0 => &[StoreFault::Before],
                    _ => &[StoreFault::None, StoreFault::Before, StoreFault::After],
                };
                let calls = if faults.len() == 1 { 200 } else { nth };
                let plan: Vec<_> = (0..calls).map(|_| *self.random.pick(faults)).collect();
                store.plan(plan);
            }
        }
    }

    /// Listing, opening and reading the remaining segments may fail, like everything else at a start.
    pub(super) fn plan_faults_of_a_start(&mut self) {
        let fault = match self.random.below(12) {
            0 => Fault::Error(ErrorKind::Other),
            1 => Fault::Error(ErrorKind::Interrupted),
            2 => Fault::Short,
            3 => Fault::Kill,
            _ => return self.disk.plan([]),
        };
        let nth = self.random.below(20) as usize;
        self.disk.plan(std::iter::repeat_n(Fault::None, nth).chain([fault]));
    }
}
