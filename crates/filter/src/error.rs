//! What is wrong with a text that is no filter.

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct FilterError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What was expected there, or what else is wrong.
    pub message: String,
}

/// How much of the text is shown before and after the place.
const AROUND: usize = 36;

impl FilterError {
    /// Two lines: the part of the text around the place, and a caret below the place. Control characters are replaced.
    #[must_use]
    pub fn pointer(&self, text: &str) -> String {
        let place = self.column.saturating_sub(1);
        let begin = place.saturating_sub(AROUND);
        let visible = |character: char| if character.is_control() { '\u{fffd}' } else { character };
        let part: String = text.chars().skip(begin).take(2 * AROUND).map(visible).collect();
        let dots = if begin > 0 { "..." } else { "" };
        let after = if text.chars().nth(begin + 2 * AROUND).is_some() { "..." } else { "" };
        format!("{dots}{part}{after}\n{}^", " ".repeat(dots.len() + place - begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(column: usize, text: &str) -> String {
        FilterError { column, message: String::new() }.pointer(text)
    }

    #[test]
    fn a_caret_is_below_the_place() {
        assert_eq!(pointer(8, "udp or prot 53"), "udp or prot 53\n       ^");
        assert_eq!(pointer(5, "\u{fc}dp\n!"), "\u{fc}dp\u{fffd}!\n    ^");
        assert_eq!(pointer(5, "host"), "host\n    ^");
    }

    #[test]
    fn of_a_long_text_a_part_is_shown() {
        let text = format!("{}x{}", "a".repeat(100), "b".repeat(100));
        let shown = pointer(101, &text);
        let (line, caret) = shown.split_once('\n').unwrap();
        assert_eq!(line.chars().nth(caret.len() - 1), Some('x'));
        assert_eq!((line.len(), &line[..4], &line[line.len() - 4..]), (2 * AROUND + 6, "...a", "b..."));
    }
}
