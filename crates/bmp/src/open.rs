//! OPEN messages: the AS of the speaker, and whether it sends several paths for a prefix (RFC 7911), because prefixes then
//! have a number before them.

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

/// An OPEN message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Open {
    /// The AS of the speaker.
    pub(crate) asn: u32,
    pub(crate) add_path: AddPath,
}

impl Open {
    /// With its header. Octets after it are left.
    pub(crate) fn read(octets: &mut Octets<'_>) -> Result<Self, Fault> {
        const WHAT: &str = "the OPEN message";
        const CAPABILITIES: u8 = 2;
        const EXTENDED: u8 = 255;
        let mut open = body(octets, 1, WHAT, "1 (OPEN)")?;
        let _version = open.u8(WHAT)?;
        let asn = open.u16(WHAT)?.into();
        // The hold time and the BGP identifier.
        open.part(6, WHAT)?;
        let (mut width, mut parameters) = (1, open);
        // RFC 9072: two octets of 255, and lengths of two octets.
        let mut extended = open;
        if extended.u8(WHAT)? == EXTENDED && extended.u8(WHAT).is_ok_and(|kind| kind == EXTENDED) {
            (width, parameters) = (2, extended);
        }
        let mut parameters = parameters.counted(width, WHAT)?;
        let mut found = Self { asn, add_path: AddPath::default() };
        while !parameters.is_empty() {
            let kind = parameters.u8(WHAT)?;
            let value = parameters.counted(width, WHAT)?;
            if kind == CAPABILITIES {
                let Capabilities { add_path, asn } = Capabilities::read(value)?;
                found = Self { asn: asn.unwrap_or(found.asn), add_path: add_path.unwrap_or(found.add_path) };
            }
        }
        Ok(found)
    }
}

/// Those capabilities that are needed, if they are there.
#[derive(Clone, Copy, Debug, Default)]
struct Capabilities {
    asn: Option<u32>,
    add_path: Option<AddPath>,
}

impl Capabilities {
    fn read(mut capabilities: Octets<'_>) -> Result<Self, Fault> {
        const WHAT: &str = "a capability";
        const LONG_AS: u8 = 65;
        const ADD_PATH: u8 = 69;
        let mut found = Self::default();
        while !capabilities.is_empty() {
            let code = capabilities.u8(WHAT)?;
            let mut value = capabilities.counted(1, WHAT)?;
            match code {
                LONG_AS => found.asn = Some(value.u32(WHAT)?),
                ADD_PATH => found.add_path.get_or_insert_default().add(value)?,
                _ => {}
            }
        }
        Ok(found)
    }
}

impl AddPath {
    /// Of capabilities. `None` if none is about several paths.
    pub(crate) fn of_capabilities(capabilities: Octets<'_>) -> Result<Option<Self>, Fault> {
        Ok(Capabilities::read(capabilities)?.add_path)
    }

    fn add(&mut self, mut value: Octets<'_>) -> Result<(), Fault> {
        const WHAT: &str = "the capability of several paths";
        while !value.is_empty() {
            let family = Family::of(value.u16(WHAT)?, value.u8(WHAT)?);
            let directions = value.u8(WHAT)?;
            if let Some(family) = family {
                *self.0.get_mut(family) = Directions { receives: directions & 1 != 0, sends: directions & 2 != 0 };
            }
        }
        Ok(())
    }

    /// Which families have a number before each prefix in what the peer sends to the router. `self` is what the router
    /// offered.
    pub(crate) fn received_from(self, peer: Self) -> Each<bool> {
        let numbered = |family| self.0.get(family).receives && peer.0.get(family).sends;
        Each { v4: numbered(Family::V4), v6: numbered(Family::V6) }
    }

    /// Which families it names at all. Loc-RIB and a single message have no two sides.
    pub(crate) fn alone(self) -> Each<bool> {
        let numbered = |family| *self.0.get(family) != Directions::default();
        Each { v4: numbered(Family::V4), v6: numbered(Family::V6) }
    }
}
