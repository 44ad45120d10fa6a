//! AS paths (RFC 4271, RFC 5065, RFC 6793).

use std::fmt;

use crate::error::Fault;
use crate::octets::Octets;

/// No AS: routes whose AS is unknown have these instead (RFC 7607, RFC 6793).
const NO_AS: [u32; 2] = [0, 23456];

/// A segment of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// ASes in the order in which a packet passes through them.
    Sequence(&'a [u32]),
    /// ASes in no order, from routes that were aggregated.
    Set(&'a [u32]),
    /// Members of a confederation, in order or not. They are no part of the path that others see.
    Confederation(&'a [u32]),
}

const SET: u32 = 1;
const SEQUENCE: u32 = 2;
const CONFEDERATION: std::ops::RangeInclusive<u32> = 3..=4;

/// The path of a route through ASes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    pub(crate) preference: u32,
    /// 0 if there is none.
    peer: u32,
    origin: u32,
    /// Each segment is a word with its kind and the number of its ASes, followed by these.
    words: Box<[u32]>,
}

impl Path {
    /// The AS that announced the prefix first. `None` if there is no unique one, because routes of several were aggregated, or
    /// if it is unknown (AS 0, AS 23456). A route without a path is from the AS of the router.
    #[must_use]
    pub const fn origin(&self) -> Option<u32> {
        if self.origin == 0 { None } else { Some(self.origin) }
    }

    /// The neighbouring AS through which the prefix is reached. `None` for a route from the AS of the router.
    #[must_use]
    pub const fn peer(&self) -> Option<u32> {
        if self.peer == 0 { None } else { Some(self.peer) }
    }

    /// The segments, the nearest first.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        segments(&self.words)
    }

    /// What makes it different from others.
    pub(crate) fn hashed(&self) -> (u32, u32, u32, &[u32]) {
        (self.preference, self.peer, self.origin, &self.words)
    }

    /// Its length for the choice between routes: a set counts as one AS, a confederation as none.
    pub(crate) fn length(&self) -> usize {
        self.segments().map(units).sum()
    }

    /// The octets that it takes in memory, nearly.
    pub(crate) fn octets(&self) -> usize {
        const ALLOCATIONS: usize = 32;
        size_of::<Self>() + size_of_val(&*self.words) + ALLOCATIONS
    }
}

/// As routers show it: `64500 64501 {64502,64503}`, and members of a confederation in parentheses.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, segment) in self.segments().enumerate() {
            let (open, ases, separator, close) = match segment {
                Segment::Sequence(ases) => ("", ases, " ", ""),
                Segment::Set(ases) => ("{", ases, ",", "}"),
                Segment::Confederation(ases) => ("(", ases, ",", ")"),
            };
            f.write_str(if number == 0 { "" } else { " " })?;
            f.write_str(open)?;
            for (number, asn) in ases.iter().enumerate() {
                write!(f, "{}{asn}", if number == 0 { "" } else { separator })?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

fn units(segment: Segment<'_>) -> usize {
    match segment {
        Segment::Sequence(ases) => ases.len(),
        Segment::Set(_) => 1,
        Segment::Confederation(_) => 0,
    }
}

const fn word(kind: u32, count: usize) -> u32 {
    // A segment of a message has at most 255 ASes.
    kind << 16 | count as u32 & 0xffff
}

fn segments(mut words: &[u32]) -> impl Iterator<Item = Segment<'_>> {
    std::iter::from_fn(move || {
        let (word, rest) = words.split_first()?;
        let (ases, rest) = rest.split_at_checked((word & 0xffff) as usize)?;
        words = rest;
        Some(match word >> 16 {
            SET => Segment::Set(ases),
            SEQUENCE => Segment::Sequence(ases),
            _ => Segment::Confederation(ases),
        })
    })
}

/// A path that is read from a message, before it is known to be new.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    words: Vec<u32>,
    four: Vec<u32>,
    preference: u32,
    peer: u32,
    origin: u32,
}

/// The attributes of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathAttributes<'a> {
    pub(crate) as_path: Octets<'a>,
    /// Only if the numbers of the other have two octets.
    pub(crate) as4_path: Option<Octets<'a>>,
    /// The numbers of AS_PATH have two octets.
    pub(crate) is_short: bool,
    pub(crate) preference: u32,
}

impl Scratch {
    /// Reads a path that a peer of this AS has announced to the router, which is in another or in the same.
    pub(crate) fn read(&mut self, attributes: PathAttributes<'_>, peer: u32, router: u32) -> Result<(), Fault> {
        self.words.clear();
        read_segments(attributes.as_path, attributes.is_short, &mut self.words)?;
        if let Some(as4_path) = attributes.as4_path {
            self.four.clear();
            // RFC 7606: one that is malformed is as if it were missing.
            if read_segments(as4_path, false, &mut self.four).is_ok() {
                self.merge();
            }
        }
        if peer != router {
            self.strip(router);
        }
        self.preference = attributes.preference;
        let visible = || segments(&self.words).filter(|segment| !matches!(segment, Segment::Confederation(_)));
        let known = |asn: &u32| if NO_AS.contains(asn) { 0 } else { *asn };
        self.peer = match visible().next() {
            Some(Segment::Sequence(ases)) => ases.first().map_or(0, known),
            _ => 0,
        };
        self.origin = match visible().last() {
            Some(Segment::Sequence(ases)) => ases.last().map_or(0, known),
            Some(_) => 0,
            None => known(&peer),
        };
        Ok(())
    }

    /// FRR (seen in 8.4) puts the AS of the router before the paths that others announce, as if it announced them. Such a path
    /// would be a loop, and cannot have been announced to the router.
    fn strip(&mut self, router: u32) {
        let Some(Segment::Sequence([first, others @ ..])) = segments(&self.words).next() else { return };
        let shorter = if others.is_empty() { None } else { Some(word(SEQUENCE, others.len())) };
        if *first == router {
            self.words.splice(..2, shorter).for_each(drop);
        }
    }

    /// RFC 6793, section 4.2.3: the leading ASes that only AS_PATH has, followed by AS4_PATH.
    fn merge(&mut self) {
        let length = |words| segments(words).map(units).sum::<usize>();
        let Some(mut leading) = length(&self.words).checked_sub(length(&self.four)) else { return };
        let mut merged = Vec::with_capacity(self.words.len() + self.four.len());
        for segment in segments(&self.words) {
            let (kind, ases) = match segment {
                Segment::Sequence(ases) => (SEQUENCE, ases.get(..leading).unwrap_or(ases)),
                Segment::Set(ases) if leading > 0 => (SET, ases),
                Segment::Confederation(ases) => (*CONFEDERATION.start(), ases),
                Segment::Set(_) => break,
            };
            leading = leading.saturating_sub(units(segment));
            if !ases.is_empty() {
                merged.push(word(kind, ases.len()));
                merged.extend(ases);
            }
        }
        for segment in segments(&self.four) {
            let (kind, ases) = match segment {
                Segment::Sequence(ases) => (SEQUENCE, ases),
                Segment::Set(ases) => (SET, ases),
                Segment::Confederation(_) => continue,
            };
            merged.push(word(kind, ases.len()));
            merged.extend(ases);
        }
        self.words = merged;
    }

    pub(crate) fn is(&self, path: &Path) -> bool {
        self.hashed() == path.hashed()
    }

    /// What makes it different from others.
    pub(crate) fn hashed(&self) -> (u32, u32, u32, &[u32]) {
        (self.preference, self.peer, self.origin, &self.words)
    }

    pub(crate) fn path(&self) -> Path {
        let Self { preference, peer, origin, .. } = *self;
        Path { preference, peer, origin, words: self.words.as_slice().into() }
    }
}

/// RFC 7606, section 7.2: a segment of an unknown kind, without ASes, or longer than the attribute makes it malformed.
fn read_segments(mut octets: Octets<'_>, is_short: bool, words: &mut Vec<u32>) -> Result<(), Fault> {
    use crate::error::Problem::Value;
    const WHAT: &str = "the AS path";
    while !octets.is_empty() {
        let fault = |what, value, expected| octets.fault(Value { what, value, expected });
        let kind = u32::from(octets.clone().u8(WHAT)?);
        if kind != SET && kind != SEQUENCE && !CONFEDERATION.contains(&kind) {
            return Err(fault("the kind of a segment of the AS path", kind, "1 to 4"));
        }
        octets.u8(WHAT)?;
        let count = octets.u8(WHAT)?;
        if count == 0 {
            return Err(octets.fault(Value {
                what: "the number of ASes in a segment",
                value: 0,
                expected: "1 to 255",
            }));
        }
        words.push(word(kind, count.into()));
        for _ in 0..count {
            words.push(if is_short { octets.u16(WHAT)?.into() } else { octets.u32(WHAT)? });
        }
    }
    Ok(())
}
