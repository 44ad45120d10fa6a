//! Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md), in which the footer of a file and
//! the headers of its pages are written.

/// The elements of all lists at most.
const MOST_ELEMENTS: usize = 1 << 18;
/// How deep structures are in each other at most. In a footer they are six deep.
const DEEPEST: u8 = 8;

/// The types of values that files have.
pub(crate) const END: u8 = 0;
pub(crate) const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
pub(crate) const I32: u8 = 5;
const I64: u8 = 6;
pub(crate) const BINARY: u8 = 8;
pub(crate) const LIST: u8 = 9;
pub(crate) const STRUCT: u8 = 12;

/// What is not read yet of a structure. Everything returns `None` for what is not of its form.
pub(crate) struct Structure<'o> {
    rest: &'o [u8],
    /// The elements of all lists so far.
    elements: usize,
}

impl<'o> Structure<'o> {
    pub(crate) const fn new(octets: &'o [u8]) -> Self {
        Self { rest: octets, elements: 0 }
    }

    /// How many octets are not read yet.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The number and the type of the next field of a structure; `Some(None)` at its end.
    pub(crate) fn field(&mut self, last: i64) -> Option<Option<(i64, u8)>> {
        let header = self.octet()?;
        let of = header & 0xf;
        if of == END {
            return Some(None);
        }
        let id = match header >> 4 {
            0 => self.integer()?,
            further => last.checked_add(further.into())?,
        };
        Some(Some((id, of)))
    }

    /// How many elements a list has, and their type.
    pub(crate) fn list(&mut self) -> Option<(usize, u8)> {
        let header = self.octet()?;
        let count = match header >> 4 {
            15 => usize::try_from(self.unsigned()?).ok()?,
            count => count.into(),
        };
        // Each takes an octet at least.
        self.elements = self.elements.checked_add(count)?;
        (count <= self.rest.len() && self.elements <= MOST_ELEMENTS).then_some((count, header & 0xf))
    }

    pub(crate) fn skip(&mut self, of: u8, depth: u8) -> Option<()> {
        match of {
            TRUE | FALSE => Some(()),
            BYTE => self.octet().map(|_| ()),
            I16 | I32 | I64 => self.unsigned().map(|_| ()),
            BINARY => {
                let length = usize::try_from(self.unsigned()?).ok()?;
                self.rest = self.rest.get(length..)?;
                Some(())
            }
            LIST => {
                let (count, of) = self.list()?;
                // No list of a file has any, and they would take no octets.
                if matches!(of, TRUE | FALSE) && count > 0 {
                    return None;
                }
                (0..count).try_for_each(|_| self.skip(of, depth.checked_add(1).filter(|depth| *depth <= DEEPEST)?))
            }
            STRUCT if depth < DEEPEST => {
                let mut last = 0;
                while let Some((id, of)) = self.field(last)? {
                    self.skip(of, depth + 1)?;
                    last = id;
                }
                Some(())
            }
            _ => None,
        }
    }

    pub(crate) fn integer(&mut self) -> Option<i64> {
        let number = self.unsigned()?;
        Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn octet(&mut self) -> Option<u8> {
        let (octet, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*octet)
    }
}
