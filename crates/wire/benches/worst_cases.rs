//! The most expensive datagrams (see `tests/worst_cases/datagrams.rs`), each as large as UDP allows: time to
//! decode one, and to decode it and list every field. Both should stay below 2 ms.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench may fail")]
#![expect(unreachable_pub, reason = "the test shares the datagrams")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use flow::{Exporter, Timestamp};
use wire::{Datagram, Field, Session, SessionLimits, Value};

#[path = "../tests/worst_cases/datagrams.rs"]
mod datagrams;

fn session_after(before: &[Vec<u8>]) -> Session {
    let mut session = Session::new(SessionLimits::default());
    for payload in before {
        session.decode(&datagram(payload), &mut |_| {});
    }
    session
}

fn datagram(payload: &[u8]) -> Datagram<'_> {
    let exporter = Exporter::udp([192, 0, 2, 1].into(), 1);
    Datagram { exporter, received: Timestamp::from_seconds(1_000_000), payload }
}

fn look(field: &Field<'_>) {
    black_box(field.name);
    match field.value {
        Value::List(list) => list.visit(&mut |item| item.visit(&mut look)),
        value => {
            black_box(value);
        }
    }
}

fn worst_cases(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("worst");
    group.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
    for case in datagrams::cases() {
        group.bench_function(format!("{}/decoded", case.name), |bencher| {
            bencher.iter_batched_ref(
                || session_after(&case.before),
                |session| session.decode(&datagram(&case.datagram), &mut |record| _ = black_box(record.flow)),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(format!("{}/listed", case.name), |bencher| {
            bencher.iter_batched_ref(
                || session_after(&case.before),
                |session| session.decode(&datagram(&case.datagram), &mut |record| record.fields(&mut look)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, worst_cases);
criterion_main!(benches);
