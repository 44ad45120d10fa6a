//! The error of sampled totals: what the program stores of sampled datagrams is what the definition gives.

use std::net::{SocketAddrV4, UdpSocket};

use wire::sflow::encode::{DatagramHeader, FlowSample, sflow_v5};

use crate::collector::Collector;
use crate::load::{register, this_year};

/// Sampling rate and length of each sampled frame; the first half is stored by one flush, the second by a later one.
const FRAMES: [(u32, u16); 8] =
    [(100, 64), (100, 1500), (4096, 1518), (1, 900), (100, 64), (512, 333), (1, 1500), (1 << 20, 1000)];

/// What has to be counted of these frames: bytes, packets, flows, and the variances of bytes and of packets.
fn expected(frames: &[(u32, u16)]) -> [u128; 5] {
    let mut sums = [0; 5];
    for (rate, length) in frames {
        let (rate, length) = (u128::from(*rate), u128::from(*length));
        // One sampled packet of a rate of N has a variance of N (N - 1), and N (N - 1) times the square of its length.
        let of_frame = [rate * length, rate, 1, rate * (rate - 1) * length * length, rate * (rate - 1)];
        sums.iter_mut().zip(of_frame).for_each(|(sum, more)| *sum += more);
    }
    sums
}

/// The sum of the lines of everything that came in, in the order of [`expected`].
fn exported(collector: &Collector, period: &str) -> [u128; 5] {
    let (csv, stderr, code) = collector.command(&["store", "export", "--period", period]);
    assert_eq!(code, Some(0), "{stderr}");
    let mut sums = [0; 5];
    for line in csv.lines().filter(|line| line.contains(",in,all,")) {
        let columns: Vec<u128> = line.split(',').skip(5).map(|column| column.parse().unwrap()).collect();
        sums.iter_mut().zip(columns).for_each(|(sum, more)| *sum += more);
    }
    sums
}

/// Sends frames with these rates and lengths.
pub(crate) fn send(collector: &Collector, from: &UdpSocket, sequence: u32, frames: &[(u32, u16)]) {
    let header = DatagramHeader { agent: [127, 0, 0, 1].into(), sub_agent: 0, sequence, uptime: 1000 * sequence };
    let sample = |(rate, length): &(u32, u16)| FlowSample {
        sequence,
        data_source: 1,
        sampling_rate: *rate,
        input: 1,
        output: 2,
        source: SocketAddrV4::new([198, 51, 100, 1].into(), 443),
        destination: SocketAddrV4::new([192, 0, 2, 1].into(), 50_000),
        frame_length: *length,
    };
    let samples: Vec<FlowSample> = frames.iter().map(sample).collect();
    from.send_to(&sflow_v5(&header, &samples), collector.receiving).unwrap();
}

#[test]
fn the_variance_of_sampled_frames_is_stored_added_up_and_exported() {
    let collector = Collector::start();
    register(&collector);
    let from = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (sequence, frames) in (1..).zip(FRAMES.chunks(FRAMES.len() / 2)) {
        send(&collector, &from, sequence, frames);
        let flows = FRAMES.len() as u64 / 2 * u64::from(sequence);
        collector.wait_until("counted", || this_year(&collector).is_ok_and(|[_, _, counted]| counted == flows));
    }
    for period in ["minute", "hour", "day", "month", "year"] {
        assert_eq!(exported(&collector, period), expected(&FRAMES), "{period}");
    }
}
