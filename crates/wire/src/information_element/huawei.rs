//! Information elements: Huawei (enterprise 2011).
//! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.

use super::{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*};

const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {
    InformationElement::new(2011, id, name, t, s, u)
}

#[rustfmt::skip]
pub(super) static ELEMENTS: &[InformationElement] = &[
    row(1, "ingressGponGemPortId", Unsigned16, Identifier, None),
    row(2, "egressGponGemPortId", Unsigned16, Identifier, None),
];
