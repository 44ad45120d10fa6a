//! The reference of all keys as documents: a commented file with every default, a page of `docs`, and a man page. The first
//! two are checked in: `make bless` rewrites them, and a test compares them.

use std::fmt::Write;

use super::key::Key;
use super::reference::{KEYS, SECTIONS};
use super::{Config, DEFAULT_FILE};

/// The width of lines.
const WIDTH: usize = 118;

const HEAD: &str = "\
# Configuration of netflow: every setting with its default. Remove the # to change one.
#
# `netflow serve --config FILE` reads this file; without --config, netflow reads /etc/netflow/netflow.toml if it exists.
# Environment variables override the file: NETFLOW__, then section and key in capitals with two underscores between
# them and one between words. Items of a list are separated by commas.
#   http.listen              NETFLOW__HTTP__LISTEN=127.0.0.1:8080
#   netflow.calculateSamples NETFLOW__NETFLOW__CALCULATE_SAMPLES=false
#   netflow.listen           NETFLOW__NETFLOW__LISTEN=192.0.2.1:2055,[2001:db8::1]:2055
#   dataDir                  NETFLOW__DATA_DIR=/var/lib/netflow
#
# Durations are a whole number and a unit: s, m (minutes), h, d, y (365 days). Sizes have the unit KiB, MiB or GiB.
# Addresses are <address>:<port>, with IPv6 addresses in brackets. Allowed values are in parentheses.
#
# Settings marked live take effect at a reload (systemctl reload netflow, or SIGHUP); all others need a restart.
";

const MARKDOWN_HEAD: &str = "\
# Configuration

This page is generated from the program's table of settings (`crates/cli/src/config/reference.rs`).

All settings are optional. `netflow serve --config FILE` reads a TOML file; without `--config`, netflow reads
`/etc/netflow/netflow.toml` if it exists. [packaging/netflow.toml](../packaging/netflow.toml) has every setting with its
default. Each setting also has an environment variable, which overrides the file; there, items of a list are separated by
commas.

Durations are a whole number and a unit: `s`, `m` (minutes), `h`, `d`, `y` (365 days). Sizes have the unit `KiB`, `MiB` or
`GiB`. IPv6 addresses are in brackets: `[2001:db8::1]:2055`.

`netflow check-config` verifies that the collector can start with a configuration; `netflow config` prints the effective
settings and where each comes from.

On SIGHUP (`systemctl reload netflow`) a running collector reloads its configuration without losing a datagram. Settings
below are applied on reload or on restart; the log names changed settings that need a restart. A configuration with an
error is rejected as a whole, and the collector keeps the current one.
";

const MAN_DESCRIPTION: &str = "\
netflow(1) reads one TOML file: that of --config, or this one if it exists. The environment variable of a setting overrides \
the file; there, items of a list are separated by commas. All settings are optional.";
const MAN_UNITS: &str = "\
Durations are a whole number and a unit: s, m (minutes), h, d, y (365 days). Sizes have the unit KiB, MiB or GiB. \
IPv6 addresses are in brackets, such as [2001:db8::1]:2055. Settings applied on reload take effect when a running netflow \
gets SIGHUP; all others need a restart.";

/// The section that begins with this key, if one does.
fn begins_section(key: &Key, previous: &mut Option<&'static str>) -> Option<(&'static str, &'static str)> {
    let section = key.section();
    if section == std::mem::replace(previous, section) {
        return None;
    }
    SECTIONS.iter().find(|(name, _)| Some(*name) == section).copied()
}

fn default_of(key: &Key) -> String {
    key.default().unwrap_or_default()
}

fn form_of(key: &Key) -> String {
    (key.value)(&mut Config::default()).form()
}

fn effect_of(key: &Key) -> &'static str {
    if key.is_live { "reload" } else { "restart" }
}

/// `packaging/netflow.toml`: every key with its text, commented out at its default.
pub(crate) fn toml() -> String {
    let mut document = HEAD.to_owned();
    let mut section = None;
    for key in KEYS {
        if let Some((name, text)) = begins_section(key, &mut section) {
            let _ = write!(document, "\n[{name}]\n{}", comment(text));
        }
        let live = if key.is_live { "; live" } else { "" };
        let text = format!("{} ({}{live})", key.text, form_of(key));
        let _ = write!(document, "\n{}#{} = {}\n", comment(&text), key.last(), default_of(key));
    }
    document
}

fn comment(text: &str) -> String {
    wrap(text, WIDTH - 2).iter().map(|line| format!("# {line}\n")).collect()
}

/// Lines of at most `width` characters, unless a word is longer.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `docs/configuration.md`.
pub(crate) fn markdown() -> String {
    let mut document = format!("{MARKDOWN_HEAD}\n## Top level\n");
    let mut section = None;
    for key in KEYS {
        if let Some((name, text)) = begins_section(key, &mut section) {
            let _ = write!(document, "\n## [{name}]\n{}\n", wrap(&escape_markdown(text), WIDTH).join("\n"));
        }
        let _ = write!(
            document,
            "\n### {}\n{}\n\n- default: `{}`\n- allowed values: {}\n- environment variable: `{}`\n- applied on: {}\n",
            key.name,
            wrap(&escape_markdown(key.text), WIDTH).join("\n"),
            default_of(key),
            escape_markdown(&form_of(key)),
            key.variable(),
            effect_of(key)
        );
    }
    document
}

fn escape_markdown(text: &str) -> String {
    text.replace('<', "\\<").replace('[', "\\[")
}

/// netflow.toml(5).
pub(crate) fn man() -> String {
    let mut page = format!(
        ".TH NETFLOW.TOML 5 \"\" \"netflow {}\"\n.SH NAME\nnetflow.toml \\- configuration of netflow\n\
         .SH SYNOPSIS\n{DEFAULT_FILE}\n.SH DESCRIPTION\n{}\n.PP\n{}\n.SH SETTINGS\n",
        env!("CARGO_PKG_VERSION"),
        escape_roff(MAN_DESCRIPTION),
        escape_roff(MAN_UNITS)
    );
    let mut section = None;
    for key in KEYS {
        if let Some((name, text)) = begins_section(key, &mut section) {
            let _ = write!(page, ".SS [{name}]\n{}\n", escape_roff(text));
        }
        let _ = write!(
            page,
            ".TP\n.B {} = {}\n{}\n.br\nAllowed values: {}. Environment variable: {}. Applied on: {}.\n",
            key.last(),
            escape_roff(&default_of(key)),
            escape_roff(key.text),
            escape_roff(&form_of(key)),
            key.variable(),
            effect_of(key)
        );
    }
    page + ".SH SEE ALSO\n.BR netflow (1),\n.BR netflow\\-check\\-config (1),\n.BR netflow\\-config (1)\n"
}

/// Escapes text for roff. A line must not begin with a dot; ours begin with letters.
fn escape_roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checked_in(path: &str) -> String {
        fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn the_checked_in_documents_match_the_reference() {
        for (path, document) in [("packaging/netflow.toml", toml()), ("docs/configuration.md", markdown())] {
            assert!(checked_in(path) == document, "{path} differs from the reference: run `make bless`");
        }
    }

    #[test]
    fn every_key_and_every_section_is_documented() {
        let (toml, markdown, man) = (toml(), markdown(), man());
        for key in KEYS {
            assert!(!key.text.is_empty(), "{}", key.name);
            assert!(toml.contains(&format!("\n#{} = ", key.last())), "{}", key.name);
            assert!(markdown.contains(&format!("\n### {}\n", key.name)), "{}", key.name);
            assert!(markdown.contains(&key.variable()) && man.contains(&key.variable()), "{}", key.name);
            if let Some(section) = key.section() {
                assert!(SECTIONS.iter().any(|(name, _)| *name == section), "[{section}] is not in SECTIONS");
                // TOML has each section once.
                assert_eq!(toml.matches(&format!("\n[{section}]\n")).count(), 1, "[{section}]");
            }
        }
    }

    #[test]
    fn no_line_of_the_reference_file_is_too_long() {
        for line in toml().lines().filter(|line| line.starts_with("# ")) {
            assert!(line.chars().count() <= WIDTH + 2, "{line}");
        }
    }
}
