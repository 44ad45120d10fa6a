//! The origins of flows: their AS numbers and countries. They are looked up once, when a datagram arrives, and booked beside it
//! ([`crate::booked_origins`]); a datagram that is decoded again has those.
//!
//! The flows of a datagram are looked up after all of it is decoded: no look-up waits for the answer of another, so that the
//! memory answers several at once.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use flow::{AsSource, FlowRecord};
use origin::{End, Found, OfRouter, Sources};
use wire::{Datagram, Record, RecordKind};

use crate::booked_origins::{self, Before, Booking, Origin};

/// The sources of origins of now, shared with all shards, which read them with one load for each datagram.
pub type PublishedSources = Arc<ArcSwap<Sources>>;

/// What a shard finds origins with.
pub(crate) struct Origins {
    pub(crate) sources: Cache<PublishedSources, Arc<Sources>>,
    pub(crate) booking: Booking,
    /// What was booked of the present datagram, if it was taken before.
    pub(crate) before: Before,
    /// Whether it was.
    pub(crate) is_again: bool,
}

impl Origins {
    pub(crate) fn new(sources: PublishedSources) -> Self {
        Self { sources: Cache::new(sources), booking: Booking::default(), before: Before::default(), is_again: false }
    }

    /// Where the origins of the present datagram's flows come from, and what they are found and booked with.
    #[inline]
    pub(crate) fn of_datagram(&mut self) -> (From<'_>, Room<'_>) {
        let Self { sources, booking, before, is_again } = self;
        let from = if *is_again {
            if before.is_empty() { From::Nowhere } else { From::Before }
        } else {
            let sources = sources.load();
            if sources.is_empty() { From::Nowhere } else { From::Sources(sources) }
        };
        (from, Room { booking, before })
    }
}

/// What origins are found and booked with.
pub(crate) struct Room<'o> {
    pub(crate) booking: &'o mut Booking,
    pub(crate) before: &'o mut Before,
}

impl Room<'_> {
    /// Books what was looked up of a datagram.
    pub(crate) fn finish(&mut self, from: From<'_>, datagram: &Datagram<'_>) {
        if from.is_looked_up() {
            self.booking.finish(booked_origins::mark(datagram.payload));
        }
    }
}

/// Where the origins of a datagram's flows come from.
#[derive(Clone, Copy)]
pub(crate) enum From<'s> {
    /// They are not looked up.
    Nowhere,
    Sources(&'s Sources),
    /// They were booked.
    Before,
}

impl<'s> From<'s> {
    /// The sources, if they are looked up.
    #[inline]
    pub(crate) const fn sources(self) -> Option<&'s Sources> {
        match self {
            Self::Sources(sources) => Some(sources),
            Self::Nowhere | Self::Before => None,
        }
    }

    /// Whether they are looked up.
    #[inline]
    pub(crate) const fn is_looked_up(self) -> bool {
        matches!(self, Self::Sources(_))
    }

    /// Whether they are looked up, and depend on what the exporter has sent.
    #[inline]
    pub(crate) fn asks_exporter(self) -> bool {
        self.sources().is_some_and(Sources::asks_exporter)
    }

    /// Whether they come from anywhere.
    #[inline]
    pub(crate) const fn is_known(self) -> bool {
        !matches!(self, Self::Nowhere)
    }
}

/// Whether a record has a flow that has origins.
#[inline]
pub(crate) fn is_flow(record: &Record<'_>) -> bool {
    record.flow.is_some() && record.kind == RecordKind::Data
}

/// Finds the origins of flows of a datagram.
#[inline]
pub(crate) fn find_all(from: From<'_>, router: IpAddr, room: &mut Room<'_>, flows: &mut [FlowRecord]) {
    let Room { booking, before } = room;
    match from {
        From::Nowhere => {}
        From::Sources(sources) => {
            sources.of(router).origins(flows, |flow, found| note(router, booking, flow, &found));
        }
        From::Before => flows.iter_mut().for_each(|flow| {
            before.set(router, flow);
        }),
    }
}

/// Gives a flow the origins that were found, and books them.
#[inline]
fn note(router: IpAddr, booking: &mut Booking, flow: &mut FlowRecord, found: &[Found<'_>; 2]) {
    // Of the flow as the exporter sent it, as it will be when it is decoded again.
    let key = booked_origins::key(router, flow);
    let [source, destination] = found;
    let source = number(booking, source, None, flow.source_as);
    let destination = number(booking, destination, destination.path, flow.destination_as);
    booking.flow(key, [source, destination]);
    set(flow, found);
}

/// The number of an origin with this path for the booking; 0 if there is nothing but what the exporter sent.
#[inline(always)]
fn number(booking: &mut Booking, found: &Found<'_>, path: Option<&bmp::Path>, stated: u32) -> u32 {
    let Found { asn, from, country, .. } = *found;
    let is_as_sent = (asn == stated) & matches!(from, AsSource::None | AsSource::Exporter);
    if is_as_sent & (country == 0) & path.is_none() {
        return 0;
    }
    let asn = if from == AsSource::Exporter { 0 } else { asn };
    booking.number(Origin { asn, from, country, ..Origin::default() }, path)
}

/// Gives a flow the origins of its source and its destination.
#[inline]
const fn set(flow: &mut FlowRecord, [source, destination]: &[Found<'_>; 2]) {
    (flow.source_as, flow.source_as_from, flow.source_country) = (source.asn, source.from, source.country);
    (flow.destination_as, flow.destination_as_from) = (destination.asn, destination.from);
    flow.destination_country = destination.country;
}

/// A flow with its origins, for a tap: nothing is booked. The path is that to its destination.
pub(crate) fn shown<'s>(sources: &OfRouter<'s>, flow: &FlowRecord) -> (FlowRecord, Option<&'s bmp::Path>) {
    let found = [End::source(flow), End::destination(flow)].map(|end| sources.origin(end));
    let mut flow = *flow;
    set(&mut flow, &found);
    let [_, destination] = found;
    (flow, destination.path)
}
