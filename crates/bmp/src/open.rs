//! OPEN messages: whether the peers of a session send several paths for a prefix (RFC 7911), because prefixes then have a
//! number before them.

use crate::error::{Fault, Problem};
use crate::family::{Each, Family};
use crate::octets::Octets;

/// The octets before the body of a message of BGP: a marker, a length and a type.
const MARKER: usize = 16;

/// The body of a message of BGP of this type. Octets after it are left.
pub(crate) fn body<'a>(
    octets: &mut Octets<'a>,
    kind: u8,
    what: &'static str,
    expected: &'static str,
) -> Result<Octets<'a>, Fault> {
    octets.part(MARKER, what)?;
    let length = octets.u16(what)?;
    let found = octets.clone().u8(what)?;
    if found != kind {
        return Err(octets.fault(Problem::Value {
            what: "the type of the BGP message",
            value: found.into(),
            expected,
        }));
    }
    octets.u8(what)?;
    octets.part(usize::from(length).saturating_sub(MARKER + 3), what)
}

/// Whether a peer sends several paths for a prefix, and whether it takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Directions {
    receives: bool,
    sends: bool,
}

/// The capability to exchange several paths for a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddPath(Each<Directions>);

impl AddPath {
    /// Of an OPEN message with its header. Octets after it are left.
    pub(crate) fn of_open(octets: &mut Octets<'_>) -> Result<Self, Fault> {
        const WHAT: &str = "the OPEN message";
        const CAPABILITIES: u8 = 2;
        const EXTENDED: u8 = 255;
        let mut open = body(octets, 1, WHAT, "1 (OPEN)")?;
        // The version, the AS, the hold time and the BGP identifier.
        open.part(9, WHAT)?;
        let (mut width, mut parameters) = (1, open);
        // RFC 9072: two octets of 255, and lengths of two octets.
        let mut extended = open;
        if extended.u8(WHAT)? == EXTENDED && extended.u8(WHAT).is_ok_and(|kind| kind == EXTENDED) {
            (width, parameters) = (2, extended);
        }
        let mut parameters = parameters.counted(width, WHAT)?;
        let mut found = Self::default();
        while !parameters.is_empty() {
            let kind = parameters.u8(WHAT)?;
            let value = parameters.counted(width, WHAT)?;
            if kind == CAPABILITIES {
                found = Self::of_capabilities(value)?.unwrap_or(found);
            }
        }
        Ok(found)
    }

    /// Of capabilities. `None` if none is about several paths.
    pub(crate) fn of_capabilities(mut capabilities: Octets<'_>) -> Result<Option<Self>, Fault> {
        const WHAT: &str = "a capability";
        const ADD_PATH: u8 = 69;
        let mut found = None;
        while !capabilities.is_empty() {
            let code = capabilities.u8(WHAT)?;
            let mut value = capabilities.counted(1, WHAT)?;
            if code != ADD_PATH {
                continue;
            }
            let all: &mut Self = found.get_or_insert_default();
            while !value.is_empty() {
                let family = Family::of(value.u16(WHAT)?, value.u8(WHAT)?);
                let directions = value.u8(WHAT)?;
                if let Some(family) = family {
                    *all.0.get_mut(family) = Directions { receives: directions & 1 != 0, sends: directions & 2 != 0 };
                }
            }
        }
        Ok(found)
    }

    /// Which families have a number before each prefix in what the peer sends to the router. `self` is what the router
    /// offered.
    pub(crate) fn from_peer(self, peer: Self) -> Each<bool> {
        let numbered = |family| self.0.get(family).receives && peer.0.get(family).sends;
        Each { v4: numbered(Family::V4), v6: numbered(Family::V6) }
    }

    /// Which families it names at all. Loc-RIB and a single message have no two sides.
    pub(crate) fn alone(self) -> Each<bool> {
        let numbered = |family| *self.0.get(family) != Directions::default();
        Each { v4: numbered(Family::V4), v6: numbered(Family::V6) }
    }
}
