//! The filter of a tap sees all columns of a record.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use accounting::tally::{OwnNetworks, TallySettings};
use flow::{Exporter, Prefix, SenderSettings, Timestamp};
use pipeline::{Admission, Exporters, Registered, Rules, Shard};
use tap::{Tap, Taps};
use wire::encode::{NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, PendingBudget, SessionLimits, netflow_v9};

const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
const BEHIND: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const NOW: u32 = 1_800_000_000;

fn shard(taps: &Taps, senders: &[(IpAddr, &str)]) -> Shard {
    let rules = Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(600),
        session: SessionLimits::default(),
        tally: TallySettings::default(),
    };
    let mut admission = Admission::default();
    let prefixes: [Prefix; 1] = ["192.0.2.0/24".parse().unwrap()];
    let registered = senders.iter().map(|(address, settings)| {
        let settings: SenderSettings = settings.parse().unwrap();
        Registered { address: *address, prefixes: &prefixes, settings }
    });
    admission.update(&registered.collect::<Vec<_>>(), &OwnNetworks::default());
    let exporters = Exporters::new(SessionLimits::default(), PendingBudget::default());
    Shard::new(rules, admission.admitted(), exporters).publishing_to(taps.clone())
}

/// A flow of this size: TCP with SYN, in VLAN 100, from the exporter behind the relay.
fn datagram(octets: u32) -> Vec<u8> {
    let fields = [(8, 4), (12, 4), (1, 4), (2, 4), (4, 1), (6, 1), (58, 2), (130, 4)];
    let fields = fields.map(|(id, length)| FieldSpecifier::iana(id, length));
    let template = TemplateSpec::data(256, fields.to_vec());
    let record =
        [&[192, 0, 2, 7, 233, 252, 0, 1][..], &octets.to_be_bytes(), &[0, 0, 0, 1, 6, 2, 0, 100], &[198, 51, 100, 1]];
    let header = netflow_v9::Header { unix_seconds: NOW.into(), ..Default::default() };
    NetflowV9::new(header).template(&template).data(&template, &[record.concat()]).finish()
}

fn take(shard: &mut Shard, payload: &[u8]) {
    let received = Timestamp::from_seconds(NOW.into());
    shard.take(&Datagram { exporter: Exporter::udp(RELAY, 2055), received, payload });
}

fn octets(tap: &Tap) -> Vec<u64> {
    tap.fetch(usize::MAX).unwrap().iter().map(|seen| seen.flow.forward.bytes).collect()
}

#[test]
fn a_tap_is_filtered_by_columns_that_are_not_counted() {
    let taps = Taps::default();
    let mut shard = shard(&taps, &[(RELAY, "")]);
    let open = |filter: &str| taps.open(1, filter.parse().unwrap(), None).unwrap();
    let matching = open("flags S and not flags A and vlan 100 and exporter 203.0.113.1 and bpp > 50");
    let larger = open("vlan 100 and bytes > 100");
    let others = open("vlan 101 or flags A or not kind = flow");
    take(&mut shard, &datagram(100));
    take(&mut shard, &datagram(200));
    assert_eq!((octets(&matching), octets(&larger), octets(&others)), (vec![100, 200], vec![200], vec![]));
}

#[test]
fn the_exporter_of_a_relayed_record_is_the_one_that_it_names() {
    let taps = Taps::default();
    let mut shard = shard(&taps, &[(RELAY, "identity=agent"), (BEHIND, "")]);
    let open = |filter: &str| taps.open(1, filter.parse().unwrap(), None).unwrap();
    let (behind, relay) = (open("router 198.51.100.1"), open("router 203.0.113.1"));
    take(&mut shard, &datagram(100));
    assert_eq!((octets(&behind), octets(&relay)), (vec![100], vec![]));
}
