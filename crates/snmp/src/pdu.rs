//! Requests and responses (RFC 3416).

use crate::ber::{self, Reader, Tag};
use crate::oid::{self, Oid};

const GET: Tag = 0xa0;
const RESPONSE: Tag = 0xa2;
const GET_BULK: Tag = 0xa5;
const REPORT: Tag = 0xa8;

const COUNTER32: Tag = 0x41;
const UNSIGNED32: Tag = 0x42;
const TIME_TICKS: Tag = 0x43;
const COUNTER64: Tag = 0x46;
const NO_SUCH_OBJECT: Tag = 0x80;
const NO_SUCH_INSTANCE: Tag = 0x81;
const END_OF_MIB_VIEW: Tag = 0x82;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Request<'a> {
    /// These objects.
    Get(&'a [Oid]),
    /// What follows these objects, this often.
    GetBulk(&'a [Oid], u32),
}

/// What an agent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) id: i64,
    /// 0 if there is none.
    pub(crate) error: i64,
    /// Whether it is about the message itself, and not an answer.
    pub(crate) is_report: bool,
    pub(crate) bindings: Vec<(Oid, Value)>,
}

/// The value of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Counters, gauges, times.
    Number(u64),
    /// A text, usually.
    Octets(Vec<u8>),
    /// There is no such object, or nothing follows.
    Missing,
    /// Another kind, which nothing here asks for.
    Other,
}

impl Request<'_> {
    /// Its octets.
    pub(crate) fn write(&self, id: i32) -> Vec<u8> {
        let (tag, oids, repetitions) = match self {
            Self::Get(oids) => (GET, oids, 0),
            Self::GetBulk(oids, repetitions) => (GET_BULK, oids, *repetitions),
        };
        let binding =
            |oid: &Oid| ber::sequence(&[ber::tagged(ber::OBJECT, &oid::write(oid)), ber::tagged(ber::NULL, &[])]);
        let bindings: Vec<Vec<u8>> = oids.iter().map(binding).collect();
        let parts =
            [ber::integer(id.into()), ber::integer(0), ber::integer(repetitions.into()), ber::sequence(&bindings)];
        ber::tagged(tag, &parts.concat())
    }
}

impl Response {
    /// The response in these octets; `None` if there is none.
    pub(crate) fn read(octets: &mut Reader<'_>) -> Option<Self> {
        let (tag, value) = octets.any()?;
        let is_report = match tag {
            RESPONSE => false,
            REPORT => true,
            _ => return None,
        };
        let mut fields = Reader(value);
        let (id, error, _index) = (fields.integer()?, fields.integer()?, fields.integer()?);
        let mut list = fields.sequence()?;
        let mut bindings = Vec::new();
        while !list.is_empty() {
            let mut binding = list.sequence()?;
            let oid = oid::read(binding.take(ber::OBJECT)?)?;
            let (tag, value) = binding.any()?;
            bindings.push((oid, Value::read(tag, value)?));
        }
        Some(Self { id, error, is_report, bindings })
    }
}

impl Value {
    fn read(tag: Tag, octets: &[u8]) -> Option<Self> {
        Some(match tag {
            ber::INTEGER | COUNTER32 | UNSIGNED32 | TIME_TICKS | COUNTER64 => Self::Number(ber::unsigned(octets)?),
            ber::OCTETS => Self::Octets(octets.to_vec()),
            ber::NULL | NO_SUCH_OBJECT | NO_SUCH_INSTANCE | END_OF_MIB_VIEW => Self::Missing,
            _ => Self::Other,
        })
    }
}
