//! What is wrong with a word of a question, and why a question has no answer.

use archive::scan::ScanError;

/// A word of a question that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word}: {}{message}", .column.map_or_else(String::new, |column| format!("column {column}: ")))]
pub struct QuestionError {
    /// The name of the word.
    pub word: String,
    /// Where in its text, in characters from 1, if not all of it is meant.
    pub column: Option<usize>,
    /// What is wrong there, and what was expected.
    pub message: String,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It cannot be answered from the archive as it is.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// The archive has no answer.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

impl QuestionError {
    pub(crate) fn new(word: &str, message: impl ToString) -> Self {
        Self { word: word.to_owned(), column: None, message: message.to_string() }
    }

    pub(crate) fn at(word: &str, column: usize, message: impl ToString) -> Self {
        Self { column: Some(column), ..Self::new(word, message) }
    }
}
