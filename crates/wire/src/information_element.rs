//! The registry of information elements: IANA's and those of vendors, with name, abstract data type (RFC 7012, section
//! 3.1), semantics (section 3.2) and units.
//!
//! The tables are the files in `information_element/`, one for each enterprise, written by
//! `cargo run -p xtask -- elements` from `xtask/elements.csv`. A new element is a row there. How a value is read from
//! the wire is in [`value`](crate::value).

mod cert;
mod cesnet;
mod cisco;
mod flowmon;
mod gigamon;
mod huawei;
mod iana;
mod ixia;
mod juniper;
mod masaryk_university;
mod netflow_v9;
mod netscaler;
mod nokia;
mod ntop;
mod procera;
mod reverse;
mod viptela;
mod vmware;

use crate::record::ElementId;

/// The registry's entry for an information element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InformationElement {
    /// Enterprise and number.
    pub id: ElementId,
    /// Its name in the registry.
    pub name: &'static str,
    /// How its value is encoded.
    pub data_type: DataType,
    /// The kind of quantity.
    pub semantics: Semantics,
    /// The unit of its value.
    pub units: Units,
}

impl InformationElement {
    const fn new(
        enterprise: u32,
        id: u16,
        name: &'static str,
        data_type: DataType,
        semantics: Semantics,
        units: Units,
    ) -> Self {
        Self { id: ElementId { enterprise, id }, name, data_type, semantics, units }
    }
}

/// Declares an enum whose variants have a number in one of the registries of RFC 5610 and a name.
macro_rules! registry {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant = $number,)*
        }

        impl $name {
            /// By its number in IANA's registry, as RFC 5610 type information carries it.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name in IANA's registry.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

registry! {
    /// Abstract data types (RFC 7012, section 3.1; RFC 6313, section 4.1), numbered as in RFC 5610, section 3.1.
    DataType {
        OctetArray = 0, "octetArray";
        Unsigned8 = 1, "unsigned8";
        Unsigned16 = 2, "unsigned16";
        Unsigned32 = 3, "unsigned32";
        Unsigned64 = 4, "unsigned64";
        Signed8 = 5, "signed8";
        Signed16 = 6, "signed16";
        Signed32 = 7, "signed32";
        Signed64 = 8, "signed64";
        Float32 = 9, "float32";
        Float64 = 10, "float64";
        Boolean = 11, "boolean";
        MacAddress = 12, "macAddress";
        String = 13, "string";
        DateTimeSeconds = 14, "dateTimeSeconds";
        DateTimeMilliseconds = 15, "dateTimeMilliseconds";
        DateTimeMicroseconds = 16, "dateTimeMicroseconds";
        DateTimeNanoseconds = 17, "dateTimeNanoseconds";
        Ipv4Address = 18, "ipv4Address";
        Ipv6Address = 19, "ipv6Address";
        BasicList = 20, "basicList";
        SubTemplateList = 21, "subTemplateList";
        SubTemplateMultiList = 22, "subTemplateMultiList";
        Unsigned256 = 23, "unsigned256";
    }
}

registry! {
    /// Data type semantics (RFC 7012, section 3.2; RFC 8038, section 11.1), numbered as in RFC 5610, section 3.6.
    Semantics {
        Default = 0, "default";
        Quantity = 1, "quantity";
        TotalCounter = 2, "totalCounter";
        DeltaCounter = 3, "deltaCounter";
        Identifier = 4, "identifier";
        Flags = 5, "flags";
        List = 6, "list";
        SnmpCounter = 7, "snmpCounter";
        SnmpGauge = 8, "snmpGauge";
    }
}

registry! {
    /// Units, numbered as in RFC 5610, section 3.7.
    Units {
        None = 0, "none";
        Bits = 1, "bits";
        Octets = 2, "octets";
        Packets = 3, "packets";
        Flows = 4, "flows";
        Seconds = 5, "seconds";
        Milliseconds = 6, "milliseconds";
        Microseconds = 7, "microseconds";
        Nanoseconds = 8, "nanoseconds";
        Words = 9, "4-octet words";
        Messages = 10, "messages";
        Hops = 11, "hops";
        Entries = 12, "entries";
        Frames = 13, "frames";
        Ports = 14, "ports";
        Inferred = 15, "inferred";
    }
}

const IANA: u32 = 0;
const CISCO: u32 = 9;
const NTOP: u32 = 35632;
const REVERSE: u32 = 29305;

/// NetFlow v9 has no enterprise numbers. Cisco sends its elements with the enterprise bit of IPFIX left in the type.
const V9_CISCO_BASE: u16 = 0x8000;

/// NetFlow v9 has no enterprise numbers. ntop adds this to its elements.
const V9_NTOP_BASE: u16 = 57472;

/// The element with this identity in IPFIX.
#[must_use]
pub fn lookup(element: ElementId) -> Option<&'static InformationElement> {
    let table = match element.enterprise {
        IANA => return iana_element(element.id),
        CISCO => cisco::ELEMENTS,
        637 => nokia::ELEMENTS,
        2011 => huawei::ELEMENTS,
        2636 => juniper::ELEMENTS,
        3054 => ixia::ELEMENTS,
        5951 => netscaler::ELEMENTS,
        6871 => cert::ELEMENTS,
        6876 => vmware::ELEMENTS,
        8057 => cesnet::ELEMENTS,
        15397 => procera::ELEMENTS,
        16982 => masaryk_university::ELEMENTS,
        26866 => gigamon::ELEMENTS,
        REVERSE => reverse::ELEMENTS,
        NTOP => ntop::ELEMENTS,
        39499 => flowmon::ELEMENTS,
        41916 => viptela::ELEMENTS,
        _ => return None,
    };
    search(table, element.id)
}

/// The element with this field type in NetFlow v9: v9's own types first, then IANA's registry, which took over the
/// types below 128, then the ranges in which vendors send their IPFIX elements.
#[must_use]
pub fn lookup_v9(field_type: u16) -> Option<&'static InformationElement> {
    let vendor = |enterprise, base| {
        let id = field_type.checked_sub(base)?;
        lookup(ElementId { enterprise, id })
    };
    search(netflow_v9::ELEMENTS, field_type)
        .or_else(|| iana_element(field_type))
        .or_else(|| vendor(NTOP, V9_NTOP_BASE))
        .or_else(|| vendor(CISCO, V9_CISCO_BASE))
}

fn search(table: &'static [InformationElement], id: u16) -> Option<&'static InformationElement> {
    table.binary_search_by_key(&id, |element| element.id.id).ok().and_then(|position| table.get(position))
}

/// Nearly all fields of the world are IANA's, and its ids are dense: one index instead of a search.
static IANA_BY_ID: [Option<&InformationElement>; IANA_IDS] = iana_by_id();

const IANA_IDS: usize = match iana::ELEMENTS.last() {
    Some(element) => element.id.id as usize + 1,
    None => 0,
};

fn iana_element(id: u16) -> Option<&'static InformationElement> {
    IANA_BY_ID.get(usize::from(id)).copied().flatten()
}

#[expect(clippy::indexing_slicing, reason = "runs at compile time, where a panic is a compile error")]
const fn iana_by_id() -> [Option<&'static InformationElement>; IANA_IDS] {
    let mut by_id = [None; IANA_IDS];
    let mut rest = iana::ELEMENTS;
    while let [element, tail @ ..] = rest {
        by_id[element.id.id as usize] = Some(element);
        rest = tail;
    }
    by_id
}

#[cfg(test)]
mod tests;
