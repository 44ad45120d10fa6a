//! A filter on 262,144 rows: column by column, and row by row.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use columns::{Batch, Id, Row};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use filter::Filter;

const ROWS: u32 = 262_144;

fn rows() -> impl Iterator<Item = Row> {
    (0..ROWS).map(|number| {
        // Any numbers that look like traffic.
        let mixed = number.wrapping_mul(2_654_435_761);
        let mut row = Row::new();
        row.set_address(Id::SrcIp, (0x0a00_0000 | mixed >> 12).to_be_bytes().into());
        row.set_address(Id::DstIp, (0xc000_0200 | mixed >> 24).to_be_bytes().into());
        row.set(Id::SrcPort, (mixed & 0xffff).into());
        row.set(Id::DstPort, if mixed & 7 == 0 { 443 } else { (mixed >> 16).into() });
        row.set(Id::Proto, if mixed & 3 == 0 { 17 } else { 6 });
        row.set(Id::TcpFlags, (mixed >> 8 & 0x1f).into());
        row.set(Id::Bytes, (mixed >> 20).into());
        row.set(Id::Packets, 1 + u64::from(mixed >> 28));
        row.set(Id::Start, 1_795_960_800_000);
        row.set(Id::End, 1_795_960_800_000 + u64::from(mixed & 0xfff));
        row
    })
}

fn select(criterion: &mut Criterion) {
    let mut batch = Batch::new();
    rows().for_each(|row| batch.push(&row));
    batch.fill();
    let few: Vec<Row> = rows().take(1024).collect();
    let mut group = criterion.benchmark_group("filter");
    for text in [
        "dst net 192.0.2.0/28",
        "port 443",
        "tcp port 443",
        "port in [22, 80, 443, 8000-8099]",
        "flags S and not flags A",
        "bps > 1m",
    ] {
        let filter: Filter = text.parse().unwrap();
        group.throughput(Throughput::Elements(ROWS.into()));
        group.bench_function(format!("batch: {text}"), |bencher| {
            bencher.iter(|| filter.select(black_box(&batch)).count())
        });
        group.throughput(Throughput::Elements(few.len() as u64));
        group.bench_function(format!("row: {text}"), |bencher| {
            bencher.iter(|| few.iter().filter(|row| filter.passes(black_box(row))).count());
        });
    }
}

criterion_group!(benches, select);
criterion_main!(benches);
