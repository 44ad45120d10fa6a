//! Questions about long times, answered in parts: those who ask see the newest flows while the others are still being read.

use std::ops::Range;

use flow::Timestamp;
use serde::Serialize;

use crate::error::AnswerError;
use crate::rows::{FlowRows, RowOrder, RowsQuestion};
use crate::scope::Scope;
use crate::series::{FlowSeries, SeriesQuestion};
use crate::source::FlowSource;
use crate::top::{FlowTop, TopQuestion};

/// The files of the archive are of an hour each.
const HOUR: u64 = 60 * 60 * 1000;
/// How many times longer each part is at least than the one before, and the whole than the last part. So what is read for all
/// parts is about a third of the whole at most.
const GROWTH: u64 = 4;

/// A question about flows of a range of time.
pub trait Question: Clone + Send + 'static {
    /// Its answer.
    type Answer: Serialize;

    /// Of which flows it is.
    fn scope(&mut self) -> &mut Scope;

    /// Whether an answer about the newest part of the time is the beginning of the whole answer, or an answer of its own.
    fn has_parts(&self) -> bool {
        true
    }

    /// Answers it.
    ///
    /// # Errors
    /// When it does not fit into memory, was cancelled, or is about a time from which the archive has nothing any more.
    fn answer(&self, source: &dyn FlowSource) -> Result<Self::Answer, AnswerError>;

    /// The same question about the newest part of its time, about ever longer ones, and at last about all of it. Each begins
    /// with an hour of UTC, as files and steps of time do.
    fn parts(mut self) -> Vec<Self> {
        let received = self.scope().received.clone();
        let parts = if self.has_parts() { parts(&received) } else { Vec::new() };
        let of_part = |part: Range<Timestamp>| {
            let mut question = self.clone();
            question.scope().received = part;
            question
        };
        parts.into_iter().chain([received]).map(of_part).collect()
    }
}

impl Question for RowsQuestion {
    type Answer = FlowRows;

    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn has_parts(&self) -> bool {
        self.order == RowOrder::Newest && self.after.is_none()
    }

    fn answer(&self, source: &dyn FlowSource) -> Result<FlowRows, AnswerError> {
        self.answer(source)
    }
}

impl Question for TopQuestion {
    type Answer = FlowTop;

    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn answer(&self, source: &dyn FlowSource) -> Result<FlowTop, AnswerError> {
        self.answer(source)
    }
}

impl Question for SeriesQuestion {
    type Answer = FlowSeries;

    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn answer(&self, source: &dyn FlowSource) -> Result<FlowSeries, AnswerError> {
        self.answer(source)
    }
}

/// The parts of a range of time that are answered before the whole of it.
fn parts(received: &Range<Timestamp>) -> Vec<Range<Timestamp>> {
    let Range { start, end } = received;
    let (first, last) = (start.milliseconds(), end.milliseconds());
    let lengths = std::iter::successors(Some(HOUR), |length| length.checked_mul(GROWTH));
    let of_length = |length: u64| {
        let begin = last.saturating_sub(length) / HOUR * HOUR;
        let is_shorter = last.saturating_sub(begin).saturating_mul(GROWTH) <= last.saturating_sub(first);
        is_shorter.then(|| Timestamp::from_milliseconds(begin)..*end)
    };
    lengths.map_while(of_length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_with_the_whole_and_begin_with_hours() {
        let hours = |length: u64, beyond: u64| -> Vec<u64> {
            let end = 1_000_000 * HOUR + beyond;
            let time = Timestamp::from_milliseconds;
            let parts = parts(&(time(end - length * HOUR)..time(end)));
            assert!(parts.iter().all(|part| part.end == time(end) && part.start.milliseconds().is_multiple_of(HOUR)));
            parts.iter().map(|part| (end - part.start.milliseconds()).div_ceil(HOUR)).collect()
        };
        assert!(hours(1, 0).is_empty());
        assert_eq!(hours(4, 0), [1]);
        assert!(hours(4, 1).is_empty());
        assert_eq!(hours(24, 0), [1, 4]);
        assert_eq!(hours(24, 60_000), [2, 5]);
        assert_eq!(hours(7 * 24, 0), [1, 4, 16]);
        assert_eq!(
            parts(&(Timestamp::from_milliseconds(0)..Timestamp::from_milliseconds(u64::MAX / 1_000_000))).len(),
            11
        );
    }
}
