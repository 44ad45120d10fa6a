//! What a flow costs in the archive: octets of its file, and processor time to decode, encode, compress and write it. The
//! flows do not repeat; `cargo bench -p archive --bench writing -- 3000000` takes 3 million.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may fail, and prints its figures")]

mod generated;

use std::time::Duration;

use archive::Writer;
use flow::Protocol;
use generator::Load;

fn main() {
    let flows: u64 = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(3_000_000);
    for protocol in [Protocol::NetflowV5, Protocol::NetflowV9, Protocol::Ipfix] {
        let load =
            Load { protocol, exporters: 4, first_source: Some([127, 0, 0, 1].into()), repeat: None, ..Load::default() };
        let (decoded, _) = run(load.clone(), flows, false);
        let (written, octets) = run(load, flows, true);
        let each = |time: Duration| time.as_nanos() / u128::from(flows);
        println!(
            "{protocol}: {} ns to make a row, {} ns to archive it, {:.1} octets",
            each(decoded),
            each(written.saturating_sub(decoded)),
            octets as f64 / flows as f64
        );
    }
}

/// The processor time that it takes, without that of the generator, and the octets on disk.
fn run(load: Load, flows: u64, is_archived: bool) -> (Duration, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(folder.path().to_owned(), archive::Reserve { percent: 0 });
    let time = generated::rows(load, flows, 500_000, |_| {}, is_archived.then_some(&mut writer));
    let octets = archive::folder::parts(folder.path()).unwrap().iter().map(|part| part.octets).sum();
    (time, octets)
}
