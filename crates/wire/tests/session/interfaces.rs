//! Names of interfaces in options data.

use wire::StatedInterface;

use super::*;

fn text<const N: usize>(text: &str) -> Vec<u8> {
    let mut octets = vec![0; N];
    octets[..text.len()].copy_from_slice(text.as_bytes());
    octets
}

fn named(exchange: &Exchange) -> Vec<(u32, Option<String>, Option<String>)> {
    let stated = exchange.session.stated_interfaces().into_iter();
    stated.map(|StatedInterface { index, name, description, .. }| (index, name, description)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_table_of_interfaces_whose_scope_is_the_exporter_keeps_all_of_them() {
    // As Cisco's `option interface-table` has it: scope System, then the index, a short and a long name.
    let table = TemplateSpec::options(256, 1, [iana(1, 4), iana(10, 4), iana(82, 8), iana(83, 32)]);
    let record = |index: u32, name: &str, long: &str| {
        [vec![192, 0, 2, 1], index.to_be_bytes().to_vec(), text::<8>(name), text::<32>(long)].concat()
    };
    let mut exchange = Exchange::new();
    let header = netflow_v9::Header { uptime: 50_000.into(), unix_seconds: 1_000_000.into(), ..Default::default() };
    let records = [record(1, "Gi0/1", "GigabitEthernet0/1"), record(2, "Gi0/2", "GigabitEthernet0/2")];
    exchange.send(&NetflowV9::new(header).template(&table).data(&table, &records).finish());
    let expected = [(1, some("Gi0/1"), some("GigabitEthernet0/1")), (2, some("Gi0/2"), some("GigabitEthernet0/2"))];
    assert_eq!(named(&exchange), expected);
    let stated = &exchange.session.stated_interfaces()[0];
    assert_eq!(stated.booted, Some(Timestamp::from_seconds(999_950)));
    // Only what differs is a change.
    let (changes, _) = exchange.session.options_state();
    exchange.now += 60;
    exchange.send(&NetflowV9::new(header).data(&table, &records).finish());
    assert_eq!(exchange.session.options_state(), (changes, Timestamp::from_seconds(exchange.now)));
    exchange.send(&NetflowV9::new(header).data(&table, &[record(2, "Te0/2", "")]).finish());
    assert_eq!(exchange.session.options_state().0, changes + 1);
    assert_eq!(named(&exchange)[1], (2, some("Te0/2"), None));
}

#[test]
fn names_are_found_by_any_form_of_the_index() {
    let mut exchange = Exchange::new();
    let in_v9 = TemplateSpec::options(256, 1, [iana(2, 2), iana(82, 8)]);
    exchange.send(&v9().template(&in_v9).data(&in_v9, &[[vec![0, 7], text::<8>("softflow")].concat()]).finish());
    let both = TemplateSpec::options(257, 2, [iana(10, 4), iana(14, 4), iana(83, 8)]);
    let physical = TemplateSpec::options(258, 1, [iana(252, 4), iana(82, 8)]);
    let output = TemplateSpec::options(259, 1, [iana(253, 8), iana(82, 8)]);
    let index = |number: u32| number.to_be_bytes().to_vec();
    let ipfix = message().template(&both).template(&physical).template(&output);
    let ipfix = ipfix.data(&both, &[[index(42), index(42), text::<8>("Te0/0/0")].concat()]);
    let ipfix = ipfix.data(&physical, &[[index(43), text::<8>(" eth3  ")].concat()]);
    exchange.send(&ipfix.data(&output, &[[index(0), index(44), text::<8>("eth4")].concat()]).finish());
    assert_eq!(
        named(&exchange),
        [(7, some("softflow"), None), (42, None, some("Te0/0/0")), (43, some("eth3"), None), (44, some("eth4"), None)]
    );
    assert_eq!(exchange.session.stated_interfaces()[1].booted, None);
}

#[test]
fn records_without_an_index_or_without_a_name_state_no_interface() {
    let mut exchange = Exchange::new();
    let nameless = TemplateSpec::options(256, 1, [iana(10, 4), iana(34, 4)]);
    let without_index = TemplateSpec::options(257, 1, [iana(143, 4), iana(82, 8)]);
    // A scope of type 10 is no interface in NetFlow v9, and an index of nine octets is none.
    let other_scope = TemplateSpec::options(258, 1, [iana(10, 4), iana(82, 8)]);
    let long = TemplateSpec::options(259, 1, [iana(10, 9), iana(82, 8)]);
    let (four, name) = (vec![0, 0, 0, 1], text::<8>("eth0"));
    exchange.send(&message().template(&nameless).data(&nameless, &[[four.clone(), four.clone()].concat()]).finish());
    let record = [[four.clone(), name.clone()].concat()];
    exchange.send(&message().template(&without_index).data(&without_index, &record).finish());
    exchange.send(&v9().template(&other_scope).data(&other_scope, &record).finish());
    exchange.send(&message().template(&long).data(&long, &[[vec![0; 9], name].concat()]).finish());
    let empty = TemplateSpec::options(260, 1, [iana(14, 4), iana(82, 8), iana(83, 4)]);
    exchange.send(&message().template(&empty).data(&empty, &[[four, vec![0; 12]].concat()]).finish());
    assert_eq!(exchange.kinds.len(), 5);
    assert_eq!(named(&exchange), []);
}

#[test]
fn names_of_hostile_routers_are_bounded() {
    let mut exchange = Exchange::new();
    let table = TemplateSpec::options(256, 1, [iana(10, 4), iana(82, 1000)]);
    exchange.send(&message().template(&table).data(&table, &[[vec![0, 0, 0, 1], vec![0xff; 1000]].concat()]).finish());
    let names = named(&exchange);
    assert_eq!(names[0].1.as_ref().map(|name| name.chars().count()), Some(255));
}
