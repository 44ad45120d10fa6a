//! Reading octets in order. Every read that does not fit is an error with its place in the message.

use crate::error::{Fault, Problem};

/// The octets of a message, or of a part of it, that are still unread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Octets<'a> {
    unread: &'a [u8],
    /// The place of the first unread octet in the message.
    at: usize,
}

impl<'a> Octets<'a> {
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self { unread: message, at: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.unread
    }

    /// A fault in the octet that is read next.
    pub(crate) const fn fault(&self, problem: Problem) -> Fault {
        Fault { at: self.at, problem }
    }

    /// The next octets as a part of its own. `what` is missing if there are fewer.
    pub(crate) fn part(&mut self, length: usize, what: &'static str) -> Result<Self, Fault> {
        let fault = self.fault(Problem::Short { what });
        let (part, rest) = self.unread.split_at_checked(length).ok_or(fault)?;
        let part = Self { unread: part, at: self.at };
        self.unread = rest;
        self.at += length;
        Ok(part)
    }

    /// The next octets of a fixed number.
    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Fault> {
        let fault = self.fault(Problem::Short { what });
        let (array, rest) = self.unread.split_first_chunk().ok_or(fault)?;
        self.unread = rest;
        self.at += N;
        Ok(*array)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Fault> {
        self.array(what).map(|[octet]| octet)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, Fault> {
        self.array(what).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Fault> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Fault> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// A part whose length is in the octet, or in the two octets, before it.
    pub(crate) fn counted(&mut self, width: usize, what: &'static str) -> Result<Self, Fault> {
        let length = if width == 1 { usize::from(self.u8(what)?) } else { usize::from(self.u16(what)?) };
        self.part(length, what)
    }
}
