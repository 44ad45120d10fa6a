//! UPDATE messages (RFC 4271, RFC 4760, RFC 7911): prefixes, and of the attributes only those that concern the AS path.
//!
//! An attribute that is not needed here is not read, so that it cannot be wrong: the router has judged it (RFC 7606).

use crate::error::{Fault, Problem};
use crate::family::{Each, Family, Network};
use crate::octets::Octets;
use crate::open::body;

const UPDATE: &str = "the UPDATE message";

/// The prefixes of an UPDATE message of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Networks<'a> {
    octets: Octets<'a>,
    family: Family,
    /// Each has the number of its path before it.
    is_numbered: bool,
}

impl Networks<'_> {
    pub(crate) const fn family(&self) -> Family {
        self.family
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    fn read(&mut self) -> Result<Network, Fault> {
        const WHAT: &str = "a prefix";
        let path_identifier = if self.is_numbered { self.octets.u32(WHAT)? } else { 0 };
        let fault = |value| {
            let expected = if self.family == Family::V4 { "0 to 32" } else { "0 to 128" };
            self.octets.fault(Problem::Value { what: "the length of a prefix", value, expected })
        };
        let bits = self.family.bits();
        let length = self.octets.clone().u8(WHAT)?;
        if length > bits {
            return Err(fault(length.into()));
        }
        self.octets.u8(WHAT)?;
        let octets = self.octets.part(usize::from(length).div_ceil(8), WHAT)?.rest();
        let leading = octets.iter().fold(0_u128, |number, octet| number << 8 | u128::from(*octet));
        // The bits after the length have no meaning (RFC 4271, section 4.3).
        let unused = (8 - length % 8) % 8;
        let host = u32::from(bits - length);
        let first = (leading >> unused).checked_shl(host).unwrap_or_default();
        Ok(Network { family: self.family, first, length, path_identifier })
    }
}

impl Iterator for Networks<'_> {
    type Item = Result<Network, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.octets.is_empty() {
            return None;
        }
        let network = self.read();
        if network.is_err() {
            // Nothing after it can be read.
            self.octets = Octets::new(&[]);
        }
        Some(network)
    }
}

/// What an UPDATE message announces and withdraws.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update<'a> {
    /// In the order in which they take effect.
    pub(crate) withdrawn: [Option<Networks<'a>>; 2],
    pub(crate) announced: [Option<Networks<'a>>; 2],
    pub(crate) as_path: Option<Octets<'a>>,
    /// With numbers of four octets, if the other one has numbers of two.
    pub(crate) as4_path: Option<Octets<'a>>,
    pub(crate) local_preference: u32,
    /// It has prefixes of a family that is not kept, such as those of VPNs.
    pub(crate) has_other_family: bool,
    /// All routes of the family have been sent once (RFC 4724, section 2).
    pub(crate) end_of_rib: Option<Family>,
}

/// What a route without a local preference has, by custom.
const USUAL_PREFERENCE: u32 = 100;

impl<'a> Update<'a> {
    /// `is_numbered`: the families whose prefixes have the number of their path before them.
    pub(crate) fn read(mut octets: Octets<'a>, is_numbered: Each<bool>) -> Result<Self, Fault> {
        let mut message = body(&mut octets, 2, UPDATE, "2 (UPDATE)")?;
        let networks = |octets, family| Networks { octets, family, is_numbered: *is_numbered.get(family) };
        let withdrawn = networks(message.counted(2, "the withdrawn routes")?, Family::V4);
        let attributes = message.counted(2, "the path attributes")?;
        let announced = networks(message, Family::V4);
        let mut update = Self {
            withdrawn: [Some(withdrawn), None],
            announced: [Some(announced), None],
            as_path: None,
            as4_path: None,
            local_preference: USUAL_PREFERENCE,
            has_other_family: false,
            end_of_rib: None,
        };
        let count = update.read_attributes(attributes, networks)?;
        let is_empty = withdrawn.is_empty() && announced.is_empty();
        update.end_of_rib = match update.withdrawn {
            [_, Some(networks)] if is_empty && count == 1 && networks.is_empty() => Some(networks.family()),
            _ if is_empty && count == 0 => Some(Family::V4),
            _ => None,
        };
        Ok(update)
    }

    /// The number of attributes. Of those that are repeated, the first counts (RFC 7606, section 3).
    fn read_attributes(
        &mut self,
        mut attributes: Octets<'a>,
        networks: impl Fn(Octets<'a>, Family) -> Networks<'a>,
    ) -> Result<usize, Fault> {
        const WHAT: &str = "a path attribute";
        const IS_EXTENDED: u8 = 0x10;
        const AS_PATH: u8 = 2;
        const LOCAL_PREFERENCE: u8 = 5;
        const REACHABLE: u8 = 14;
        const UNREACHABLE: u8 = 15;
        const AS4_PATH: u8 = 17;
        let (mut count, mut reachable, mut unreachable, mut preference) = (0, None, None, None);
        while !attributes.is_empty() {
            let flags = attributes.u8(WHAT)?;
            let kind = attributes.u8(WHAT)?;
            let value = attributes.counted(if flags & IS_EXTENDED == 0 { 1 } else { 2 }, WHAT)?;
            count += 1;
            let known = match kind {
                AS_PATH => &mut self.as_path,
                LOCAL_PREFERENCE => &mut preference,
                REACHABLE => &mut reachable,
                UNREACHABLE => &mut unreachable,
                AS4_PATH => &mut self.as4_path,
                _ => continue,
            };
            known.get_or_insert(value);
        }
        self.local_preference = preference.and_then(|mut value| value.u32(WHAT).ok()).unwrap_or(USUAL_PREFERENCE);
        if let Some(mut value) = unreachable {
            self.withdrawn[1] = family(&mut value)?.map(|family| networks(value, family));
            self.has_other_family |= self.withdrawn[1].is_none();
        }
        if let Some(mut value) = reachable {
            let family = family(&mut value)?;
            value.counted(1, "the next hop")?;
            value.u8("the next hop")?;
            self.announced[1] = family.map(|family| networks(value, family));
            self.has_other_family |= family.is_none();
        }
        Ok(count)
    }
}

fn family(octets: &mut Octets<'_>) -> Result<Option<Family>, Fault> {
    const WHAT: &str = "an address family";
    Ok(Family::of(octets.u16(WHAT)?, octets.u8(WHAT)?))
}
