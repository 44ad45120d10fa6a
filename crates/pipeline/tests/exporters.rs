//! All shards share the state of an exporter, whichever of them reads its datagrams.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use accounting::tally::{GroupId, Monitored, Tally, TallySettings};
use arc_swap::ArcSwap;
use flow::{DatagramFate, Exporter, FlowFate, SenderSettings, Timestamp};
use pipeline::{Admitted, Exporters, Registration, Rules, Shard};
use serde_json::json;
use wire::encode::{NetflowV9, TemplateSpec};
use wire::{Datagram, FieldSpecifier, PendingBudget, SessionLimits, netflow_v9};

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOW: u32 = 1_800_000_000;

fn rules() -> Rules {
    Rules {
        scale_samples: true,
        clock_limit: Duration::from_secs(600),
        session: SessionLimits::default(),
        tally: TallySettings::default(),
    }
}

fn admitted(registered: bool) -> Admitted {
    let monitored = Monitored::new(SENDER, &[("192.0.2.0/24".parse().unwrap(), GroupId(0))]);
    let registration = Registration { monitored, settings: SenderSettings::default() };
    let senders = registered.then(|| (SENDER, Arc::new(registration)));
    Arc::new(ArcSwap::from_pointee(HashMap::from_iter(senders)))
}

fn exporters() -> Exporters {
    Exporters::new(SessionLimits::default(), PendingBudget::default())
}

/// Destination address and bytes.
fn template() -> TemplateSpec {
    TemplateSpec::data(256, [FieldSpecifier::iana(12, 4), FieldSpecifier::iana(1, 4)])
}

fn packet(sequence: u32) -> NetflowV9 {
    NetflowV9::new(netflow_v9::Header {
        unix_seconds: NOW.into(),
        uptime: 3_600_000.into(),
        sequence: sequence.into(),
        ..Default::default()
    })
}

/// A datagram of one flow of 100 octets.
fn data(sequence: u32) -> Vec<u8> {
    packet(sequence).data(&template(), &[vec![192, 0, 2, 1, 0, 0, 0, 100]]).finish()
}

fn take(shard: &mut Shard, number: u32, payload: &[u8]) {
    let received = Timestamp::new(NOW.into(), number);
    shard.take(&Datagram { exporter: Exporter::udp(SENDER, 2055), received, payload });
}

#[test]
fn a_sampling_rate_that_changes_is_listed_with_who_announced_it() {
    let (admitted, exporters) = (admitted(true), exporters());
    let mut shard = Shard::new(rules(), Arc::clone(&admitted), exporters.clone());
    let options = TemplateSpec::options(257, 1, [FieldSpecifier::iana(1, 4), FieldSpecifier::iana(34, 4)]);
    let announcement = |rate: u32| {
        let record = [&[0; 4][..], &rate.to_be_bytes()].concat();
        packet(0).template(&options).data(&options, &[record]).finish()
    };
    let mut take = |second: u32, port, payload: &[u8]| {
        let received = Timestamp::from_seconds((NOW + second).into());
        shard.take(&Datagram { exporter: Exporter::udp(SENDER, port), received, payload });
    };
    // As a Juniper MX sends them: the options data come from another port than the flows.
    let (flows, rates, forged) = (2055, 3000, 4000);
    take(0, flows, &packet(0).template(&template()).finish());
    take(0, rates, &announcement(1000));
    (0..50).for_each(|second| take(second, flows, &data(second)));
    // Less than twice as much is no change; nor is what another port announces, as long as it does not count.
    take(50, rates, &announcement(1900));
    take(51, forged, &announcement(1_000_000));
    take(52, flows, &data(52));
    take(60, rates, &announcement(1_900_000));
    (61..70).for_each(|second| take(second, flows, &data(second)));
    let detail = exporters.detailed(SENDER, true).unwrap().detail;
    let change = json!([{
        "at": "2027-01-15T08:01:01Z", "protocol": "netflow-v9", "domain": 0, "port": flows, "before": 1900,
        "after": 1_900_000, "source": "options", "announcedBy": rates,
    }]);
    assert_eq!(serde_json::to_value(&detail.sampling.changes).unwrap(), change);
}

#[test]
fn shards_share_templates_and_sequence_numbers_and_flows_are_in_the_sum_of_their_tallies() {
    let (admitted, exporters) = (admitted(true), exporters());
    let mut shards: Vec<Shard> =
        (0..3).map(|_| Shard::new(rules(), Arc::clone(&admitted), exporters.clone())).collect();
    // Data arrive before their template, and in another shard.
    take(&mut shards[0], 0, &data(0));
    take(&mut shards[1], 1, &packet(1).template(&template()).finish());
    for number in 2..100 {
        take(&mut shards[number as usize % 3], number, &data(number));
    }
    let flows: Vec<u64> = shards.iter().map(|shard| shard.counts().flows[FlowFate::Matched]).collect();
    assert_eq!(flows.iter().sum::<u64>(), 99);
    assert!(flows.iter().all(|flows| *flows > 0), "{flows:?}");
    let known = exporters.all();
    assert_eq!(known.len(), 1);
    let known = known.first().unwrap();
    assert_eq!((known.address, known.protocols.as_slice()), (SENDER, [("netflow-v9", 100)].as_slice()));
    let shown = serde_json::to_value(known).unwrap();
    let counters = &shown["counters"];
    assert_eq!((&counters["datagrams"]["decoded"], &counters["flows"]["matched"]), (&json!(100), &json!(99)));
    assert_eq!((&counters["pending_sets"], &counters["pending_decoded_sets"]), (&json!(1), &json!(1)));
    assert_eq!(known.first, Some(Timestamp::new(NOW.into(), 0)));
    assert_eq!(known.last, Some(Timestamp::new(NOW.into(), 99)));
    let detail = exporters.detailed(SENDER, true).unwrap().detail;
    assert_eq!((detail.templates.len(), detail.streams.iter().map(|stream| stream.lost).sum::<u64>()), (1, 0));
}

#[test]
fn fields_of_templates_are_named_as_in_records_also_scopes_of_netflow_v9() {
    let (admitted, exporters) = (admitted(true), exporters());
    let mut shards = [Shard::new(rules(), admitted, exporters.clone())];
    // As softflowd announces its sampler: the scope Interface, whose number is that of packetDeltaCount.
    let options = TemplateSpec::options(257, 1, [(2, 4), (34, 4), (2, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let record = [[0, 0, 0, 7], [0, 0, 0, 1], [0, 0, 0, 9]].concat();
    take(&mut shards[0], 0, &packet(0).template(&options).data(&options, &[record]).finish());
    let detail = exporters.detailed(SENDER, true).unwrap().detail;
    let fields: Vec<(&str, bool)> =
        detail.templates.first().unwrap().fields.iter().map(|field| (&*field.name, field.scope)).collect();
    assert_eq!(fields, [("scopeInterface", true), ("samplingInterval", false), ("packetDeltaCount", false)]);
    let record = detail.options.first().unwrap();
    assert_eq!(record.scope, json!({"scopeInterface": 7}));
    assert_eq!(record.fields, json!({"samplingInterval": 1, "packetDeltaCount": 9}));
}

#[test]
fn flows_beyond_the_far_minutes_of_a_prefix_are_clamped_flows_of_their_exporter() {
    let exporters = exporters();
    let rules = Rules { clock_limit: Duration::from_secs(366 * 86_400), ..rules() };
    let mut shard = Shard::new(rules, admitted(true), exporters.clone());
    take(&mut shard, 0, &packet(0).template(&template()).finish());
    for number in 1..=200 {
        let header = netflow_v9::Header {
            unix_seconds: (NOW - 3600 * number).into(),
            uptime: 3_600_000.into(),
            sequence: number.into(),
            ..Default::default()
        };
        let record = vec![192, 0, 2, 1, 0, 0, 0, 100];
        take(&mut shard, number, &NetflowV9::new(header).data(&template(), &[record]).finish());
    }
    let shown = serde_json::to_value(exporters.all().first().unwrap()).unwrap();
    assert_eq!((shard.counts().time_clamped, &shown["counters"]["clamped_flows"]), (72, &json!(72)));
    drop(shard.seal(Tally::new(TallySettings::default())));
    assert_eq!(shard.counts().time_clamped, 72);
}

#[test]
fn an_exporter_that_was_removed_and_registered_again_is_one_for_all_shards() {
    let (admitted, exporters) = (admitted(true), exporters());
    let mut shards: Vec<Shard> =
        (0..2).map(|_| Shard::new(rules(), Arc::clone(&admitted), exporters.clone())).collect();
    take(&mut shards[0], 0, &packet(0).template(&template()).finish());
    take(&mut shards[1], 1, &data(1));
    admitted.store(self::admitted(false).load_full());
    drop(shards[0].seal(Tally::new(TallySettings::default())));
    assert!(exporters.all().is_empty());
    take(&mut shards[1], 2, &data(2));
    assert_eq!(shards[1].counts().datagrams[DatagramFate::Unregistered], 1);
    let unknown = exporters.unknown();
    let seen: Vec<_> = unknown.iter().map(|unknown| (unknown.address, unknown.datagrams, unknown.protocol)).collect();
    assert_eq!(seen, [(SENDER, 1, Some("netflow-v9"))]);
    admitted.store(self::admitted(true).load_full());
    // The other shard has not noticed the change: it must not decode with the removed state.
    take(&mut shards[1], 3, &data(3));
    assert_eq!(shards[1].counts().missing_template_sets, 1);
    assert!(exporters.unknown().is_empty());
    take(&mut shards[0], 4, &packet(4).template(&template()).finish());
    assert_eq!(shards[0].counts().pending_decoded, 1);
    assert_eq!(exporters.totals()[&SENDER].0, 2);
}
