//! A filter as words, signs and brackets, each with its column. `parser` gives them a meaning.

use crate::error::FilterError;

/// A word or sign, and its column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t str,
    /// In characters, from 1.
    pub(crate) column: usize,
}

/// Signs, the longer one first where two begin alike.
const SIGNS: [&str; 15] = ["(", ")", "[", "]", ",", ">=", "<=", "==", "!=", ">", "<", "=", "&&", "||", "!"];

/// The tokens of a text, and the column after it.
pub(crate) fn tokens(text: &str) -> Result<(Vec<Token<'_>>, usize), FilterError> {
    let (mut tokens, mut rest, mut column) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            sign.len()
        } else {
            rest.find(|character: char| !is_in_word(character)).unwrap_or(rest.len())
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if token.is_empty() {
            return Err(FilterError { column, message: format!("{first:?} has no meaning in a filter") });
        }
        if !first.is_whitespace() {
            tokens.push(Token { text: token, column });
        }
        column += token.chars().count();
        rest = after;
    }
    Ok((tokens, column))
}

fn is_in_word(character: char) -> bool {
    character.is_alphanumeric() || ".:/_-".contains(character)
}
