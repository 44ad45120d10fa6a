//! Information elements: Gigamon (enterprise 26866).
//! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.

use super::{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*};

const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {
    InformationElement::new(26866, id, name, t, s, u)
}

#[rustfmt::skip]
pub(super) static ELEMENTS: &[InformationElement] = &[
    row(1, "gigamonHttpReqUrl", String, Default, None),
    row(2, "gigamonHttpRspStatus", Unsigned16, Identifier, None),
    row(202, "gigamonDnsOpCode", Unsigned8, Identifier, None),
];
