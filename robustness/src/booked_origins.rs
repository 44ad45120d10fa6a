//! What a journal has of the origins of a datagram's flows, which recovery and readers of the log use.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use accounting::tally::{GroupId, Monitored, TallySettings};
use arc_swap::ArcSwap;
use flow::{DatagramFate, Exporter, FlowFate, SenderSettings, Timestamp};
use origin::{Contents, Sources, Table};
use pipeline::{Again, Booked, Exporters, Registration, Rules, Shard};
use wire::encode;
use wire::netflow_v5::{Header, Record};
use wire::{Datagram, PendingBudget, SessionLimits};

const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FLOWS: u8 = 10;
const SECOND: u32 = 1_800_000_000;

/// Whatever is booked, each flow of the datagram counts once; and what was booked of one datagram does no harm to the next.
pub fn read(input: &[u8]) {
    let payload = payload();
    let registration = registration();
    let mut shard = shard(Sources::default());
    for origins in [input, &[]] {
        let booked = Booked { origins, ..Booked::default() };
        let again = Again { datagram: datagram(&payload), is_carried: false, booked };
        let fate = shard.take_again(&again, &mut |_| Some(Arc::clone(&registration)));
        assert_eq!(fate, DatagramFate::Decoded);
    }
    assert_eq!(shard.counts().flows[FlowFate::Matched], 2 * u64::from(FLOWS));
}

/// What a shard books with a file, of the flows whose AS the exporter does not know and of those whose AS it does.
pub fn booked() -> Vec<Vec<u8>> {
    let ranges = ["192.0.2.0\t192.0.2.127\t64500\tCH\tExample\n", "192.0.2.0\t192.0.2.255\t0\tDE\tNone\n"];
    let seeds = ranges.map(|ranges| {
        let contents = Contents::parse(Path::new("ranges.tsv"), ranges.as_bytes()).expect("a file of ranges");
        let table = Table::new(vec![contents]).expect("one file");
        let mut shard = shard(Sources::default().with_files(Arc::new(table)));
        shard.take(&datagram(&payload()));
        shard.booked().origins.to_vec()
    });
    seeds.into()
}

fn payload() -> Vec<u8> {
    let record = |number: u8| Record {
        source: [192, 0, 2, number],
        destination: [198, 51, 100, number],
        octets: 100.into(),
        packets: 1.into(),
        destination_as: (u16::from(number % 2) * 64501).into(),
        ..Record::default()
    };
    let header = Header { unix_seconds: SECOND.into(), ..Header::default() };
    encode::netflow_v5(&header, &(0..FLOWS).map(record).collect::<Vec<_>>())
}

fn datagram(payload: &[u8]) -> Datagram<'_> {
    Datagram { exporter: Exporter::udp(ROUTER, 2055), received: Timestamp::from_seconds(SECOND.into()), payload }
}

fn registration() -> Arc<Registration> {
    let monitored = Monitored::new(ROUTER, &[("192.0.2.0/24".parse().expect("a prefix"), GroupId(0))]);
    Arc::new(Registration { monitored, settings: SenderSettings::default() })
}

fn shard(sources: Sources) -> Shard {
    let rules = Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(600),
        session: SessionLimits::default(),
        tally: TallySettings { names: 1000, ..TallySettings::default() },
    };
    let admitted = Arc::new(ArcSwap::from_pointee(HashMap::from([(ROUTER, registration())])));
    let exporters = Exporters::new(rules.session, PendingBudget::default());
    Shard::new(rules, admitted, exporters).looking_up(Arc::new(ArcSwap::from_pointee(sources)))
}
