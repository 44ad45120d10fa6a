//! Substitutions: what each path has in the end. HOCON decides this when the whole file is read: `${a}` is the last value of
//! `a`, and within an assignment to `a` itself the one before.

use super::{Content, Entry, HoconError, Piece, Setting};

/// How many pieces may be joined, and octets copied: a few lines can refer to each other exponentially often.
const STEPS: usize = 50_000;
const OCTETS: usize = 1 << 20;
/// How many substitutions may lead to a value.
const DEPTH: usize = 16;

/// A setting that the environment decides: the line, the path, the variable.
type Variable = (usize, String, String);

/// The settings, and what is taken from the environment.
pub(super) fn resolve(entries: &[Entry]) -> Result<(Vec<Setting>, Vec<Variable>), HoconError> {
    let mut resolution = Resolution { entries, steps: 0, octets: 0, undefined: Vec::new() };
    let (mut settings, mut variables) = (Vec::<Setting>::new(), Vec::new());
    let mut set = |path: String, value: Content, line| {
        settings.retain(|setting| setting.path != path);
        settings.push(Setting { path, value, line });
    };
    for (index, entry) in entries.iter().enumerate() {
        resolution.undefined.clear();
        let members = resolution.members(entry)?;
        let has_members = !members.is_empty();
        for (path, value) in members {
            set(path, value, entry.line);
        }
        if let Some(value) = resolution.value(index, 0)?.filter(|value| *value != Content::Text("null".to_owned())) {
            set(entry.path.clone(), value, entry.line);
        }
        if !has_members {
            let undefined = resolution.undefined.drain(..);
            variables.extend(undefined.map(|variable| (entry.line, entry.path.clone(), variable)));
        }
    }
    Ok((settings, variables))
}

struct Resolution<'e> {
    entries: &'e [Entry],
    steps: usize,
    octets: usize,
    /// Paths that the file does not set.
    undefined: Vec<String>,
}

impl Resolution<'_> {
    /// The value of an assignment; `None` if it sets nothing.
    fn value(&mut self, index: usize, depth: usize) -> Result<Option<Content>, HoconError> {
        let Some(entry) = self.entries.get(index) else { return Ok(None) };
        if depth > DEPTH {
            return Err(error(entry, "the substitutions refer to each other"));
        }
        let value = self.joined(index, &entry.pieces, depth)?;
        if !entry.appends {
            return Ok(value);
        }
        let before = self.last(&entry.path, index).map(|before| self.value(before, depth + 1)).transpose()?.flatten();
        let mut items = match before {
            Some(Content::List(items)) => items,
            Some(Content::Text(_)) | None => Vec::new(),
        };
        items.extend(value);
        Ok(Some(Content::List(items)))
    }

    /// Texts and lists, joined.
    fn joined(&mut self, index: usize, pieces: &[Piece], depth: usize) -> Result<Option<Content>, HoconError> {
        let mut joined = None;
        for piece in pieces {
            self.step(index)?;
            let value = match piece {
                Piece::Text(text) => Some(Content::Text(text.clone())),
                Piece::List(items) => {
                    let items = items.iter().map(|item| self.joined(index, item, depth));
                    Some(Content::List(items.filter_map(Result::transpose).collect::<Result<_, _>>()?))
                }
                Piece::Reference { path, is_optional } => {
                    let value = self.referred(index, path, depth)?;
                    if value.is_none() {
                        self.undefined.push(path.clone());
                        if !is_optional {
                            return Ok(None);
                        }
                    }
                    value
                }
            };
            let Some(value) = value else { continue };
            self.copy(index, &value)?;
            joined = Some(match (joined, value) {
                (None, value) => value,
                (Some(Content::Text(before)), Content::Text(text)) => Content::Text(before + &text),
                (Some(Content::List(mut before)), Content::List(items)) => {
                    before.extend(items);
                    Content::List(before)
                }
                // Spaces between lists.
                (Some(Content::List(before)), Content::Text(space)) if space.trim().is_empty() => Content::List(before),
                (Some(Content::Text(space)), Content::List(items)) if space.trim().is_empty() => Content::List(items),
                _ => return Err(self.error(index, "a text and a list cannot be joined")),
            });
        }
        Ok(joined)
    }

    fn referred(&mut self, index: usize, path: &str, depth: usize) -> Result<Option<Content>, HoconError> {
        let own = self.entries.get(index).is_some_and(|entry| entry.path == path);
        match self.last(path, if own { index } else { self.entries.len() }) {
            Some(referred) => self.value(referred, depth + 1),
            None => Ok(None),
        }
    }

    /// The last assignment to a path among the first ones.
    fn last(&self, path: &str, before: usize) -> Option<usize> {
        self.entries.iter().take(before).rposition(|entry| entry.path == path)
    }

    /// The members of an object that an assignment refers to.
    fn members(&mut self, entry: &Entry) -> Result<Vec<(String, Content)>, HoconError> {
        let [Piece::Reference { path: object, .. }] = entry.pieces.as_slice() else { return Ok(Vec::new()) };
        let mut members = Vec::new();
        for (index, member) in self.entries.iter().enumerate() {
            let Some(key) = member.path.strip_prefix(object.as_str()).filter(|key| key.starts_with('.')) else {
                continue;
            };
            if let Some(value) = self.value(index, 1)? {
                self.copy(index, &value)?;
                members.push((format!("{}{key}", entry.path), value));
            }
        }
        Ok(members)
    }

    fn step(&mut self, index: usize) -> Result<(), HoconError> {
        self.steps += 1;
        if self.steps <= STEPS { Ok(()) } else { Err(self.error(index, "there are too many substitutions")) }
    }

    fn copy(&mut self, index: usize, value: &Content) -> Result<(), HoconError> {
        self.octets += octets(value);
        if self.octets <= OCTETS { Ok(()) } else { Err(self.error(index, "the substitutions are too long")) }
    }

    fn error(&self, index: usize, message: &'static str) -> HoconError {
        match self.entries.get(index) {
            Some(entry) => error(entry, message),
            None => HoconError { line: 1, column: 1, message },
        }
    }
}

fn error(entry: &Entry, message: &'static str) -> HoconError {
    HoconError { line: entry.line, column: 1, message }
}

/// The depth is bounded by the reader, and by that of substitutions.
fn octets(value: &Content) -> usize {
    match value {
        Content::Text(text) => text.len() + 1,
        Content::List(items) => items.iter().map(octets).sum::<usize>() + 1,
    }
}
