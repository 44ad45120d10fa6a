//! `origins`: where AS numbers, AS names and countries of addresses are from.

use std::path::PathBuf;

use origin::{Order, Source};

use super::value_kind::Words;

/// Where AS numbers, AS names and countries of addresses are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OriginSettings {
    /// `files`: the most trusted first.
    pub(crate) files: Vec<PathBuf>,
    /// `order`: who is asked for the AS of an address, until one knows it.
    pub(crate) order: Order,
}

impl Words for Source {
    const WORDS: &'static [(&'static str, Self)] = &[
        (Self::Networks.name(), Self::Networks),
        (Self::Exporter.name(), Self::Exporter),
        (Self::Bmp.name(), Self::Bmp),
        (Self::Files.name(), Self::Files),
    ];
}
