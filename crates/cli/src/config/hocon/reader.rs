//! Text to assignments, with objects flattened to paths.

use super::{Entry, HoconError, Piece};

/// How deep objects and lists may be in each other; those of netflow.io are three deep.
const DEPTH: usize = 16;
/// How many assignments and items of lists a file may have.
const ITEMS: usize = 4_000;
/// What ends unquoted text, besides white space and comments.
const RESERVED: &str = "$\"{}[]:=,+#`^?!@*&\\";

pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
    items: usize,
    pub(super) entries: Vec<Entry>,
    pub(super) includes: Vec<(usize, String)>,
    pub(super) is_unmistakable: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { text, at: 0, items: 0, entries: Vec::new(), includes: Vec::new(), is_unmistakable: false }
    }

    /// The whole text: an object with braces or without.
    pub(super) fn document(&mut self) -> Result<(), HoconError> {
        self.skip_lines();
        if self.take("{") {
            self.is_unmistakable = true;
            self.members("", 1)?;
            self.expect("}")?;
        } else {
            self.members("", 0)?;
        }
        self.skip_lines();
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("expected a key")) }
    }

    /// The members of an object, up to its closing brace or the end.
    fn members(&mut self, path: &str, depth: usize) -> Result<(), HoconError> {
        loop {
            self.skip_lines();
            if self.rest().is_empty() || self.rest().starts_with('}') {
                return Ok(());
            }
            if !self.include() {
                self.member(path, depth)?;
            }
            self.skip_spaces();
            let ends = self.take(",") || self.at_line_end() || self.rest().starts_with('}');
            if !ends {
                return Err(self.error("expected the end of the line, a comma or a brace"));
            }
        }
    }

    fn member(&mut self, path: &str, depth: usize) -> Result<(), HoconError> {
        self.count()?;
        let key = self.path()?;
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        self.skip_spaces();
        let appends = self.take("+=");
        let is_colon = !appends && self.take(":");
        let is_assigned = appends || is_colon || self.take("=");
        self.is_unmistakable |= appends || is_colon;
        if is_assigned {
            self.skip_lines();
        } else if self.rest().starts_with('{') {
            self.is_unmistakable = true;
        } else {
            return Err(self.error("expected =, : or an object in braces"));
        }
        self.value(path, appends, depth)
    }

    /// A value of a key: pieces, or objects, whose members become assignments of their own.
    fn value(&mut self, path: String, appends: bool, depth: usize) -> Result<(), HoconError> {
        let line = self.line();
        let pieces = self.pieces(depth)?;
        let has_pieces = !pieces.is_empty();
        if has_pieces {
            self.entries.push(Entry { path: path.clone(), pieces, appends, line });
        }
        let mut has_object = false;
        while self.take("{") {
            has_object = true;
            self.members(&path, self.deeper(depth)?)?;
            self.expect("}")?;
            self.skip_spaces();
        }
        if has_pieces || has_object { Ok(()) } else { Err(self.error("expected a value")) }
    }

    /// The pieces of a value on this line, up to an object.
    fn pieces(&mut self, depth: usize) -> Result<Vec<Piece>, HoconError> {
        let mut pieces = Vec::new();
        loop {
            let from = self.at;
            self.skip_spaces();
            let space = self.text.get(from..self.at).unwrap_or_default().to_owned();
            let Some(piece) = self.piece(depth)? else { return Ok(pieces) };
            // Spaces between texts are part of the value.
            if !pieces.is_empty() && !space.is_empty() {
                pieces.push(Piece::Text(space));
            }
            pieces.push(piece);
        }
    }

    fn piece(&mut self, depth: usize) -> Result<Option<Piece>, HoconError> {
        self.count()?;
        if self.take("[") {
            return self.list(self.deeper(depth)?).map(Some);
        }
        if self.take("${") {
            self.is_unmistakable = true;
            let is_optional = self.take("?");
            let path = self.path()?;
            self.expect("}")?;
            return Ok(Some(Piece::Reference { path, is_optional }));
        }
        if self.rest().starts_with('"') {
            return self.quoted().map(|text| Some(Piece::Text(text)));
        }
        let length = self.unquoted(|letter| !letter.is_whitespace() && !RESERVED.contains(letter));
        Ok((!length.is_empty()).then(|| Piece::Text(length.to_owned())))
    }

    /// The items of a list, whose bracket is read.
    fn list(&mut self, depth: usize) -> Result<Piece, HoconError> {
        let mut items = Vec::new();
        loop {
            self.skip_lines();
            if self.take("]") {
                return Ok(Piece::List(items));
            }
            let item = self.pieces(depth)?;
            if item.is_empty() {
                return Err(self.error("expected a text, a list or the end of the list"));
            }
            items.push(item);
            self.skip_spaces();
            if !(self.take(",") || self.at_line_end() || self.rest().starts_with(']')) {
                return Err(self.error("expected a comma or the end of the list"));
            }
        }
    }

    /// Keys with dots between them.
    fn path(&mut self) -> Result<String, HoconError> {
        let mut path = String::new();
        loop {
            let key = if self.rest().starts_with('"') {
                self.quoted()?
            } else {
                self.unquoted(|letter| letter.is_alphanumeric() || "-_".contains(letter)).to_owned()
            };
            if key.is_empty() {
                return Err(self.error("expected a key"));
            }
            path += &key;
            if !self.take(".") {
                return Ok(path);
            }
            path.push('.');
        }
    }

    /// A text in quotes, or in three.
    fn quoted(&mut self) -> Result<String, HoconError> {
        if self.take("\"\"\"") {
            self.is_unmistakable = true;
            let end = self.rest().find("\"\"\"").ok_or_else(|| self.error("the text in quotes does not end"))?;
            // More quotes before the end are part of the text.
            let more = self.rest().get(end..).unwrap_or_default().bytes().take_while(|octet| *octet == b'"').count();
            let text = self.rest().get(..end + more - 3).unwrap_or_default().to_owned();
            self.at += end + more;
            return Ok(text);
        }
        self.at += 1;
        let mut text = String::new();
        while let Some(letter) = self.rest().chars().next() {
            match letter {
                '"' => {
                    self.at += 1;
                    return Ok(text);
                }
                '\\' => text.push(self.escape()?),
                '\n' => break,
                _ => {
                    self.at += letter.len_utf8();
                    text.push(letter);
                }
            }
        }
        Err(self.error("the text in quotes does not end"))
    }

    /// A backslash and what follows, as in JSON.
    fn escape(&mut self) -> Result<char, HoconError> {
        let unknown = self.error("unknown letter after a backslash");
        let letter = self.rest().chars().nth(1).ok_or_else(|| unknown.clone())?;
        let (length, written) = match letter {
            '"' | '\\' | '/' => (2, letter),
            'n' => (2, '\n'),
            't' => (2, '\t'),
            'r' => (2, '\r'),
            'u' => {
                let digits = self.rest().get(2..6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                (6, digits.and_then(char::from_u32).ok_or(unknown)?)
            }
            _ => return Err(unknown),
        };
        self.at += length;
        Ok(written)
    }

    /// Reads `include` and the rest of its line, if it is there.
    fn include(&mut self) -> bool {
        let Some(what) = self.rest().strip_prefix("include") else { return false };
        let what = what.lines().next().unwrap_or_default();
        let named = what.trim_start();
        let is_include = named.starts_with('"') || (named != what && named.contains('('));
        if is_include {
            self.includes.push((self.line(), named.trim_end().to_owned()));
            self.is_unmistakable = true;
            self.at += "include".len() + what.len();
        }
        is_include
    }

    fn unquoted(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let ends = |(at, letter): &(usize, char)| !belongs(*letter) || rest.get(*at..).is_some_and(is_comment);
        let length = rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at);
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, what: &str) -> bool {
        let is_there = self.rest().starts_with(what);
        if is_there {
            self.at += what.len();
        }
        is_there
    }

    fn expect(&mut self, what: &'static str) -> Result<(), HoconError> {
        if self.take(what) { Ok(()) } else { Err(self.error("expected a closing brace")) }
    }

    /// Skips spaces and a comment, and stays on the line.
    fn skip_spaces(&mut self) {
        let is_space = |letter: char| letter != '\n' && letter.is_whitespace();
        self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
        if is_comment(self.rest()) {
            self.is_unmistakable |= self.rest().starts_with("//");
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn skip_lines(&mut self) {
        self.skip_spaces();
        while self.take("\n") {
            self.skip_spaces();
        }
    }

    fn at_line_end(&self) -> bool {
        self.rest().is_empty() || self.rest().starts_with('\n')
    }

    fn deeper(&self, depth: usize) -> Result<usize, HoconError> {
        if depth < DEPTH { Ok(depth + 1) } else { Err(self.error("too many objects and lists in each other")) }
    }

    fn count(&mut self) -> Result<(), HoconError> {
        self.items += 1;
        if self.items <= ITEMS { Ok(()) } else { Err(self.error("too many settings")) }
    }

    fn line(&self) -> usize {
        self.text.get(..self.at).unwrap_or_default().matches('\n').count() + 1
    }

    fn error(&self, message: &'static str) -> HoconError {
        let before = self.text.get(..self.at).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        HoconError { line: self.line(), column, message }
    }
}

fn is_comment(text: &str) -> bool {
    text.starts_with('#') || text.starts_with("//")
}
