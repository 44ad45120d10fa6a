//! A batch of datagrams, copied for the targets that get some of them.

use std::net::SocketAddr;
use std::sync::Arc;

use flow::canonical;
use udp::{Forwarded, Received};

use super::target::{Choice, Target};

/// A set of targets, by their places in the list of the moment.
type Targets = u64;

const _: () = assert!(super::MOST_TARGETS <= Targets::BITS as usize);

/// Copied datagrams. Those of one target are a part of them.
#[derive(Debug)]
pub(super) struct Copies {
    payloads: Vec<u8>,
    copied: Vec<Copied>,
}

/// A datagram, whose payload is after that of the one before.
#[derive(Debug)]
struct Copied {
    source: SocketAddr,
    length: usize,
    targets: Targets,
}

/// The copies that one target gets.
#[derive(Debug)]
pub(super) struct Share {
    copies: Arc<Copies>,
    /// This target.
    target: Targets,
    /// How many datagrams they are.
    pub(super) datagrams: u64,
}

impl Copies {
    /// Copies the datagrams that a target gets, and queues them there.
    pub(super) fn offer<'b>(received: impl Iterator<Item = Received<'b>>, targets: &[Arc<Target>]) {
        let mut chosen: Vec<_> = received.map(|datagram| (datagram.payload, copied(&datagram))).collect();
        let places = || (0..Targets::BITS).map(|place| 1 << place);
        let mut counts = Vec::with_capacity(targets.len());
        for (place, target) in places().zip(targets) {
            let (mut datagrams, mut of_other_family) = (0, 0);
            for (_, copied) in &mut chosen {
                match target.choose(copied.source.ip()) {
                    Choice::Taken => {
                        copied.targets |= place;
                        datagrams += 1;
                    }
                    Choice::OtherFamily => of_other_family += 1,
                    Choice::Unwanted => {}
                }
            }
            target.count(datagrams, of_other_family);
            counts.push(datagrams);
        }
        chosen.retain(|(_, copied)| copied.targets != 0);
        if chosen.is_empty() {
            return;
        }
        let mut payloads = Vec::with_capacity(chosen.iter().map(|(payload, _)| payload.len()).sum());
        chosen.iter().for_each(|(payload, _)| payloads.extend_from_slice(payload));
        let copies = Arc::new(Self { payloads, copied: chosen.into_iter().map(|(_, copied)| copied).collect() });
        for ((place, target), datagrams) in places().zip(targets).zip(counts).filter(|(_, datagrams)| *datagrams > 0) {
            target.offer(Share { copies: Arc::clone(&copies), target: place, datagrams });
        }
    }
}

fn copied(datagram: &Received<'_>) -> Copied {
    // A socket of both families reports IPv4 addresses as IPv6 ones.
    let source = SocketAddr::new(canonical(datagram.source.ip()), datagram.source.port());
    Copied { source, length: datagram.payload.len(), targets: 0 }
}

impl Share {
    /// The octets of memory that it needs, also those of other targets.
    pub(super) fn octets(&self) -> usize {
        size_of::<Copies>() + self.copies.payloads.capacity() + self.copies.copied.capacity() * size_of::<Copied>()
    }

    /// Its datagrams, in order of arrival.
    pub(super) fn datagrams(&self) -> Vec<Forwarded<'_>> {
        let Copies { payloads, copied } = &*self.copies;
        let mut rest = payloads.as_slice();
        let all = copied.iter().map(|copied| {
            let (payload, after) = rest.split_at_checked(copied.length).unwrap_or_default();
            rest = after;
            (copied.targets, Forwarded { source: copied.source, payload })
        });
        all.filter(|(targets, _)| targets & self.target != 0).map(|(_, datagram)| datagram).collect()
    }
}
