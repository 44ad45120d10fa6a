//! The records that a rate is looked up for: the set that they are in, and the parts of the domain that they name.

use std::net::{IpAddr, Ipv6Addr};

use super::Scope;
use crate::booking::Slot;
use crate::datagram::Message;
use crate::plan::Reading;
use crate::ports::Ports;
use crate::template::Template;
use crate::template_store::{FoundTemplate, TemplateStore};

/// Elements of parts of a domain that have no slot, because few exporters send them.
pub(super) const OBSERVATION_POINT_ID: u16 = 138;
pub(super) const LINE_CARD_ID: u16 = 141;

/// The records of a set: what they came in, and what describes them.
#[derive(Clone, Copy)]
pub(crate) struct SetSource<'s> {
    pub(crate) ports: &'s Ports,
    pub(crate) templates: &'s TemplateStore,
    pub(crate) message: &'s Message,
    pub(crate) described: FoundTemplate<'s>,
}

/// The parts of a domain that a record names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) observation_point: Option<u64>,
    pub(super) line_card: Option<u64>,
    pub(super) exporter: Option<IpAddr>,
}

impl SetSource<'_> {
    pub(super) const fn template(&self) -> &Template {
        self.described.template
    }

    /// Whether other templates of the domain, from the same port, name the samplers of their records.
    pub(super) fn others_name_samplers(&self) -> bool {
        self.templates.has_naming(self.message, self.described.port)
    }
}

impl Place {
    /// What the fields of a record name. Interface 0 is none.
    pub(super) fn of(template: &Template, reading: &Reading<'_, '_>) -> Self {
        let interface = |slot| Some(reading.number(slot)).filter(|index| *index > 0);
        let number = |element| template.number(reading.record(), element);
        Self {
            input: interface(Slot::InputInterface).or_else(|| interface(Slot::PhysicalInput)),
            output: interface(Slot::OutputInterface).or_else(|| interface(Slot::PhysicalOutput)),
            observation_point: number(OBSERVATION_POINT_ID),
            line_card: number(LINE_CARD_ID),
            exporter: template.exporter(reading.record()),
        }
    }

    /// That of records in a part of the domain, or in none that there is a statement about.
    pub(super) fn in_part(template: &Template, part: Option<Scope>) -> Self {
        let has = |slot| template.plan().fills(slot);
        let carries = |element| template.fields().iter().any(|field| field.element.id == element);
        // No such number: the place of all other records.
        let elsewhere = |is_named: bool| is_named.then_some(u64::MAX);
        let mut place = Self {
            input: elsewhere(has(Slot::InputInterface)),
            output: elsewhere(has(Slot::OutputInterface)),
            observation_point: elsewhere(carries(OBSERVATION_POINT_ID)),
            line_card: elsewhere(carries(LINE_CARD_ID)),
            exporter: template.plan().names_exporter().then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        };
        let (named, number) = match part {
            Some(Scope::Interface(index)) if place.input.is_some() => (&mut place.input, index),
            Some(Scope::Interface(index) | Scope::OutputInterface(index)) => (&mut place.output, index),
            Some(Scope::ObservationPoint(point)) => (&mut place.observation_point, point),
            Some(Scope::LineCard(card)) => (&mut place.line_card, card),
            Some(Scope::Exporter(exporter)) => {
                place.exporter = place.exporter.map(|_| exporter);
                return place;
            }
            _ => return place,
        };
        *named = named.map(|_| number);
        place
    }

    /// The scopes that it is in, in the order of precedence.
    pub(super) fn scopes(&self) -> impl Iterator<Item = Scope> {
        let scopes = [
            self.input.map(Scope::Interface),
            self.output.map(Scope::OutputInterface),
            self.output.map(Scope::Interface),
            self.observation_point.map(Scope::ObservationPoint),
            self.line_card.map(Scope::LineCard),
        ];
        scopes.into_iter().flatten()
    }
}
