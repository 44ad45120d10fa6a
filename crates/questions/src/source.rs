//! What has the flows that are asked for: the files of the archive, or a database with the same flows.
//!
//! Both answer in the same values. What an answer looks like does not depend on which of them gave it.

use archive::Scan;
use archive::scan::{GroupQuestion, Groups, RowQuestion, Rows, ScanError, Series};
use columns::Id;

/// What has flows, and answers questions about them.
pub trait FlowSource {
    /// The first groups of flows in an order, and the exact sum of the others.
    ///
    /// # Errors
    /// As [`Scan::groups`].
    fn groups(&self, question: &GroupQuestion) -> Result<Groups, ScanError>;

    /// The first groups in steps of time.
    ///
    /// # Errors
    /// As [`Scan::series`].
    fn series(&self, question: &GroupQuestion, time: Id, milliseconds: u64) -> Result<Series, ScanError>;

    /// Flows, one by one.
    ///
    /// # Errors
    /// As [`Scan::rows`].
    fn rows(&self, question: &RowQuestion) -> Result<Rows, ScanError>;
}

impl FlowSource for Scan<'_> {
    fn groups(&self, question: &GroupQuestion) -> Result<Groups, ScanError> {
        Scan::groups(self, question)
    }

    fn series(&self, question: &GroupQuestion, time: Id, milliseconds: u64) -> Result<Series, ScanError> {
        Scan::series(self, question, time, milliseconds)
    }

    fn rows(&self, question: &RowQuestion) -> Result<Rows, ScanError> {
        Scan::rows(self, question)
    }
}
