//! Information elements: Nokia, formerly Alcatel-Lucent (enterprise 637).
//! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.

use super::{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*};

const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {
    InformationElement::new(637, id, name, t, s, u)
}

#[rustfmt::skip]
pub(super) static ELEMENTS: &[InformationElement] = &[
    row(91, "aluInsideServiceId", Unsigned16, Identifier, Octets),
    row(92, "aluOutsideServiceId", Unsigned16, Identifier, None),
    row(93, "aluNatSubString", String, Identifier, None),
];
