//! The files with AS numbers, AS names and countries, as metrics.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use view::{Counter, OriginFile, OriginFiles};

use super::{counter, gauge};

/// Writes them. There is a series for each of at most 16 files.
#[expect(clippy::cast_precision_loss, reason = "what is measured fits 53 bits")]
pub(super) fn encode(files: &OriginFiles, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Ranges of addresses with an AS or a country, from files";
    let mut family = encoder.encode_descriptor("origin_ranges", help, None, MetricType::Gauge)?;
    for (label, ranges) in [("ipv4", files.ipv4_ranges), ("ipv6", files.ipv6_ranges)] {
        ConstGauge::new(ranges as f64).encode(family.encode_family(&[("family", label)])?)?;
    }
    gauge(encoder, "origin_names", "AS with a name, from files", files.names as f64)?;
    gauge(encoder, "origin_bytes", "Memory of the table of these ranges and names", files.bytes as f64)?;
    if let Some(read) = files.read {
        let help = "When this table was read, in seconds since 1970";
        gauge(encoder, "origin_read_timestamp_seconds", help, read.seconds() as f64)?;
    }
    counter(encoder, &Counter::plain("origin_reads", "Tables that were read from files", files.reads))?;
    let help = "Attempts to read the files that failed because one could not be used";
    counter(encoder, &Counter::plain("origin_failures", help, files.failures))?;
    let help = "Whether a file could not be used when it was last read";
    of_files(encoder, "origin_file_failing", help, files, |file| Some(f64::from(u8::from(file.error.is_some()))))?;
    let help = "When what is in use of a file was last modified, in seconds since 1970";
    of_files(encoder, "origin_file_modified_timestamp_seconds", help, files, |file| {
        Some(file.modified?.seconds() as f64)
    })
}

fn of_files(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    files: &OriginFiles,
    value: impl Fn(&OriginFile) -> Option<f64>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (file, value) in files.files.iter().filter_map(|file| Some((file, value(file)?))) {
        ConstGauge::new(value).encode(family.encode_family(&[("file", file.path.as_str())])?)?;
    }
    Ok(())
}
