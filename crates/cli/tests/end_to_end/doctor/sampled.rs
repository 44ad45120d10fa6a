//! What doctor says of sampling rates.

use super::*;
use crate::sampling;

#[test]
fn unknown_and_contradictory_sampling_rates_are_reported() {
    let collector = Collector::start();
    let (unknown, differs) = (router("127.0.2.1"), router("127.0.2.2"));
    add(&collector, "127.0.2.1", "192.0.2.0/24");
    add(&collector, "127.0.2.2", "192.0.2.0/24");
    let named = template(&[(48, 1)]);
    let found = provoke(&collector, "127.0.2.1", "sampling_unknown", || {
        let record = [&TO_MONITORED[..], &[3]].concat();
        unknown.send_to(&v9(0).template(&named).data(&named, &[record]).finish(), collector.receiving).unwrap();
    });
    has(&found["evidence"], "no options data give its rate");
    has(&found["run"], "option sampler-table");
    let with_rate = template(&[(34, 4)]);
    let options = TemplateSpec::options(257, 1, [(1, 4), (48, 1), (34, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let found = provoke(&collector, "127.0.2.2", "sampling_differs", || {
        let record = [&TO_MONITORED[..], &100_u32.to_be_bytes()].concat();
        let sampler = [&[0, 0, 0, 0, 1][..], &1000_u32.to_be_bytes()].concat();
        let datagram =
            v9(0).template(&options).data(&options, &[sampler]).template(&with_rate).data(&with_rate, &[record]);
        differs.send_to(&datagram.finish(), collector.receiving).unwrap();
    });
    assert_eq!(found["what"], "its flows give a sampling rate of 100, its options data 1000");
    // The REST interface has the same.
    let detail = collector.rest("GET", "/exporters/127.0.2.2", "");
    let announced = &detail["sampling"]["announced"][0];
    assert_eq!((&announced["protocol"], &announced["domain"]), (&json!("netflow-v9"), &json!(7)));
    assert_eq!((&announced["sampler"], &announced["rate"]), (&json!(1), &json!(1000)));
    assert_eq!(announced["port"], differs.local_addr().unwrap().port());
    assert_eq!(detail["options"][0]["fields"], json!({"samplerId": 1, "samplingInterval": 1000}));
    collector.terminate();
}

#[test]
fn an_announced_sampling_rate_of_one_is_no_problem() {
    let collector = Collector::start();
    let from = router("127.0.2.9");
    add(&collector, "127.0.2.9", "192.0.2.0/24");
    let flows = template(&[]);
    let options = TemplateSpec::options(257, 1, [(1, 4), (48, 1), (34, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    // v5 beside v9 of one address; the options data announce a rate of 1.
    let mut sequence = 0;
    collector.wait_until("both protocols", || {
        let sampler = [&[0, 0, 0, 0, 1][..], &1_u32.to_be_bytes()].concat();
        let datagram = v9(sequence).template(&options).data(&options, &[sampler]).template(&flows);
        from.send_to(&datagram.data(&flows, &[TO_MONITORED.to_vec()]).finish(), collector.receiving).unwrap();
        from.send_to(&crate::thirty_flows(), collector.receiving).unwrap();
        sequence += 1;
        let detail = collector.rest("GET", "/exporters/127.0.2.9", "");
        let rates: Vec<&Value> = detail["sampling"]["announced"].as_array().into_iter().flatten().collect();
        rates.iter().any(|rate| rate["rate"] == 1) && detail["protocols"].as_object().is_some_and(|of| of.len() == 2)
    });
    let names: Vec<String> = findings(&collector, "127.0.2.9").iter().map(|of| of["finding"].to_string()).collect();
    assert!(!names.iter().any(|name| name.contains("sampling")), "{names:?}");
    collector.terminate();
}

#[test]
fn a_sampling_rate_that_cannot_be_is_reported_and_ignored() {
    let collector = Collector::start();
    let from = router("127.0.2.7");
    add(&collector, "127.0.2.7", "192.0.2.0/24");
    let flows = template(&[]);
    let options = TemplateSpec::options(257, 1, [(1, 4), (34, 4), (35, 1)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let found = provoke(&collector, "127.0.2.7", "sampling_implausible", || {
        let rate = [&[0; 4][..], &1713_u32.to_be_bytes(), &[31]].concat();
        let datagram = v9(0).template(&options).data(&options, &[rate]).template(&flows);
        from.send_to(&datagram.data(&flows, &[TO_MONITORED.to_vec()]).finish(), collector.receiving).unwrap();
    });
    has(&found["evidence"], "template 257 of netflow-v9, domain 7");
    has(&found["evidence"], "samplingAlgorithm 31");
    let rates = &collector.rest("GET", "/exporters/127.0.2.7", "")["sampling"]["rates"];
    assert_eq!(
        (&rates[0]["rate"], &rates[0]["source"], rates.as_array().unwrap().len()),
        (&json!(1), &json!("none"), 1)
    );
    collector.terminate();
}

#[test]
fn doctor_shows_which_sampling_rate_applies_to_which_records() {
    let collector = Collector::start();
    let from = router("127.0.2.8");
    add(&collector, "127.0.2.8", "192.0.2.0/24");
    let (sampled, unsampled) = (template(&[(48, 1)]), TemplateSpec { id: 258, ..template(&[]) });
    let options = TemplateSpec::options(257, 1, [(1, 4), (48, 1), (50, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let sampler = [&[0, 0, 0, 0, 1][..], &1000_u32.to_be_bytes()].concat();
    let announced = v9(0).template(&options).data(&options, &[sampler]).template(&sampled).template(&unsampled);
    let flow = [&TO_MONITORED[..], &[1]].concat();
    let datagram = announced.data(&sampled, &[flow]).data(&unsampled, &[TO_MONITORED.to_vec()]).finish();
    collector.wait_until("both templates describe data", || {
        from.send_to(&datagram, collector.receiving).unwrap();
        let applied = &collector.rest("GET", "/exporters/127.0.2.8", "")["sampling"]["applied"];
        applied.as_array().is_some_and(|applied| applied.len() == 2)
    });
    let (printed, stderr, _) = collector.command(&["doctor", "127.0.2.8"]);
    let port = from.local_addr().unwrap().port();
    for line in [
        format!(
            "sampling  template 256 of netflow-v9, domain 7, source port {port}, sampler 1: 1 of 1000 packets, announced \
             for sampler 1 by source port {port}"
        ),
        format!("sampling  template 258 of netflow-v9, domain 7, source port {port}: not sampled"),
    ] {
        assert!(printed.contains(&line), "{printed}{stderr}");
    }
    let unknown =
        findings(&collector, "127.0.2.8").into_iter().find(|finding| finding["finding"] == "sampling_unknown");
    assert_eq!(unknown, None);
    collector.terminate();
}

/// Sends until this router's sampling rate is known: rates of the first datagrams are no changes.
fn sample_at(collector: &Collector, router: &UdpSocket, mut send: impl FnMut()) {
    let detail = format!("/exporters/{}", router.local_addr().unwrap().ip());
    collector.wait_until("sampled", || {
        (0..10).for_each(|_| send());
        collector.rest("GET", &detail, "")["counters"]["flows"]["matched"].as_u64() > Some(50)
    });
}

#[test]
fn a_sampling_rate_that_changes_by_a_factor_is_reported_with_its_time() {
    let collector = Collector::start();
    let (netflow, sflow) = (router("127.0.2.5"), router("127.0.2.6"));
    add(&collector, "127.0.2.5", "192.0.2.0/24");
    add(&collector, "127.0.2.6", "192.0.2.0/24");
    let (flows, begun) = (template(&[]), jiff::Timestamp::now());
    let options = TemplateSpec::options(257, 1, [(1, 4), (34, 4)].map(|(id, n)| FieldSpecifier::iana(id, n)));
    let send = |rate: u32| {
        let rate = [&[0; 4][..], &rate.to_be_bytes()].concat();
        let datagram =
            v9(0).template(&options).data(&options, &[rate]).template(&flows).data(&flows, &[TO_MONITORED.to_vec()]);
        netflow.send_to(&datagram.finish(), collector.receiving).unwrap();
    };
    sample_at(&collector, &netflow, || send(100));
    send(150);
    let found = provoke(&collector, "127.0.2.5", "sampling_changed", || send(150_000));
    assert!(found["what"].as_str().unwrap().contains("changed from 150 to 150000 at "), "{found}");
    has(&found["evidence"], &format!("announced by source port {}", netflow.local_addr().unwrap().port()));
    let changes = &collector.rest("GET", "/exporters/127.0.2.5", "")["sampling"]["changes"];
    assert_eq!(changes.as_array().unwrap().len(), 1, "{changes}");
    let at: jiff::Timestamp = changes[0]["at"].as_str().unwrap().parse().unwrap();
    assert!(begun <= at && at <= jiff::Timestamp::now(), "{at}");

    let send = |rate| sampling::send(&collector, &sflow, 0, &[(rate, 64)]);
    sample_at(&collector, &sflow, || send(1000));
    let found = provoke(&collector, "127.0.2.6", "sampling_changed", || send(1_000_000));
    assert!(found["what"].as_str().unwrap().contains("changed from 1000 to 1000000 at "), "{found}");
    has(&found["evidence"], "from record");
    collector.terminate();
}

#[test]
fn ignored_sampling_is_reported() {
    let collector = Collector::start_with(&[("NETFLOW__NETFLOW__CALCULATE_SAMPLES", "false")]);
    add(&collector, "127.0.2.3", "192.0.2.0/24");
    let socket = router("127.0.2.3");
    let found = provoke(&collector, "127.0.2.3", "sampling_ignored", || {
        socket.send_to(&v5(0, 100, 30), collector.receiving).unwrap();
    });
    has(&found["evidence"], "sampling rate 100, from header");
    has(&found["run"], "calculateSamples = true");
    collector.terminate();
}
