//! Whether what is printed may have colours: on a terminal, unless NO_COLOR says otherwise (https://no-color.org).

use std::env;
use std::io::IsTerminal;

/// Whether it may, there.
pub(crate) fn is_wanted(output: &impl IsTerminal) -> bool {
    output.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
