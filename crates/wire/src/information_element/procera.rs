//! Information elements: Procera Networks (enterprise 15397).
//! Written by `cargo run -p xtask -- elements` from `xtask/elements.csv`: change that file, not this one.

use super::{DataType, DataType::*, InformationElement, Semantics, Semantics::*, Units, Units::*};

const fn row(id: u16, name: &'static str, t: DataType, s: Semantics, u: Units) -> InformationElement {
    InformationElement::new(15397, id, name, t, s, u)
}

#[rustfmt::skip]
pub(super) static ELEMENTS: &[InformationElement] = &[
    row(1, "proceraService", String, Default, None),
    row(2, "proceraBaseService", String, Default, None),
    row(3, "proceraIncomingOctets", Unsigned64, DeltaCounter, Octets),
    row(4, "proceraOutgoingOctets", Unsigned64, DeltaCounter, Octets),
    row(15, "proceraFlowBehavior", String, Default, None),
    row(25, "proceraHttpFileLength", Unsigned32, Quantity, Octets),
    row(47, "proceraTemplateName", String, Default, None),
];
