//! Whether output may have colors: on a terminal, unless NO_COLOR is set (<https://no-color.org>).

use std::env;
use std::io::IsTerminal;

/// Whether this output may.
pub(crate) fn is_wanted(output: &impl IsTerminal) -> bool {
    output.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
