//! The fates of datagrams and flows as numbers that add up, and the sums that end the log.

use std::fmt;

use flow::{DatagramFate, Fate, FlowFate, Tallied};
use view::Counter;
use wire::Decoded;

/// Counts of the datagrams and flows of an exporter, a shard, or all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams read, by fate.
    pub datagrams: Tallied<DatagramFate>,
    /// Data records decoded, by fate.
    pub flows: Tallied<FlowFate>,
    /// Records of all kinds, counted by the decoder.
    pub records: u64,
    /// Data records among them.
    pub data_records: u64,
    /// Records of all kinds, counted by the shard that received them from the decoder.
    pub shown_records: u64,
    /// Options data records.
    pub options: u64,
    /// Announcements of templates and options templates.
    pub templates: u64,
    /// Data sets whose template was missing when they arrived.
    pub missing_template_sets: u64,
    /// Data sets of connections whose template was missing: they are not queued.
    pub discarded_sets: u64,
    /// Data sets that were queued for their template.
    pub pending: u64,
    /// Queued data sets that were decoded after their template arrived.
    pub pending_decoded: u64,
    /// Queued data sets that expired or were displaced.
    pub pending_expired: u64,
    /// Sampling rates in the wrong byte order, as RouterOS sends them, that were corrected.
    pub corrected_rates: u64,
    /// Templates of connections with the id of another one that was not withdrawn.
    pub redefined_templates: u64,
    /// Withdrawals of templates that were not announced in the connection.
    pub unknown_withdrawals: u64,
    /// Parts of datagrams that could not be decoded, and these errors.
    pub decode_errors: u64,
    /// Flows whose export time was too far from their receive time, which replaced it.
    pub time_clamped: u64,
    /// Datagrams that the kernel dropped because its receive buffer was full: known to the thread that reads the sockets,
    /// not to the shard.
    pub kernel_drops: u64,
}

impl Counts {
    /// Adds the result of one datagram, except its flows, which the shard counts one by one.
    pub fn note(&mut self, decoded: &Decoded) {
        self.records += u64::from(decoded.data) + u64::from(decoded.options);
        self.data_records += u64::from(decoded.data);
        self.options += u64::from(decoded.options);
        self.templates += u64::from(decoded.templates) + u64::from(decoded.options_templates);
        self.missing_template_sets += u64::from(decoded.missing_template_sets);
        self.discarded_sets += u64::from(decoded.discarded_sets);
        self.pending += u64::from(decoded.pending);
        self.pending_decoded += u64::from(decoded.pending_decoded);
        self.pending_expired += u64::from(decoded.pending_expired);
        self.corrected_rates += u64::from(decoded.corrected_rates);
        self.redefined_templates += u64::from(decoded.redefined_templates);
        self.unknown_withdrawals += u64::from(decoded.unknown_withdrawals);
        self.decode_errors += u64::from(decoded.errors);
    }

    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: &Self) {
        self.datagrams.merge(&other.datagrams);
        self.flows.merge(&other.flows);
        self.records += other.records;
        self.data_records += other.data_records;
        self.shown_records += other.shown_records;
        self.options += other.options;
        self.templates += other.templates;
        self.missing_template_sets += other.missing_template_sets;
        self.discarded_sets += other.discarded_sets;
        self.pending += other.pending;
        self.pending_decoded += other.pending_decoded;
        self.pending_expired += other.pending_expired;
        self.corrected_rates += other.corrected_rates;
        self.redefined_templates += other.redefined_templates;
        self.unknown_withdrawals += other.unknown_withdrawals;
        self.decode_errors += other.decode_errors;
        self.time_clamped += other.time_clamped;
        self.kernel_drops += other.kernel_drops;
    }
}

impl Counts {
    /// The counters for the REST interface, without the kernel's drops, which are not known for an exporter.
    #[must_use]
    pub fn counters(&self) -> Vec<Counter> {
        let plain = Counter::plain;
        vec![
            Counter::fates("datagrams", "Datagrams read, by fate", &self.datagrams),
            Counter::fates("flows", "Flow records decoded, by fate", &self.flows),
            plain("options_records", "Options data records decoded", self.options),
            plain("templates", "Template announcements received", self.templates),
            plain(
                "missing_template_sets",
                "Data sets whose template was missing when they arrived",
                self.missing_template_sets,
            ),
            plain(
                "discarded_sets",
                "Data sets of export connections that were discarded because their template was missing",
                self.discarded_sets,
            ),
            plain("pending_sets", "Data sets queued for a missing template", self.pending),
            plain(
                "pending_decoded_sets",
                "Queued data sets decoded after their template arrived",
                self.pending_decoded,
            ),
            plain("pending_expired_sets", "Queued data sets that expired or were displaced", self.pending_expired),
            plain("corrected_sampling_rates", "Sampling rates received in the wrong byte order", self.corrected_rates),
            plain(
                "redefined_templates",
                "Templates of export connections with the id of another one that was not withdrawn",
                self.redefined_templates,
            ),
            plain(
                "unknown_withdrawals",
                "Withdrawals of templates that were not announced in the export connection",
                self.unknown_withdrawals,
            ),
            plain("decode_errors", "Parts of datagrams that could not be decoded", self.decode_errors),
            plain("clamped_flows", "Flows whose export time was too far from the receive time", self.time_clamped),
        ]
    }
}

impl Counts {
    /// The most important counts, with the names of `/status` and `/metrics`.
    #[must_use]
    pub fn important(&self) -> [(&'static str, u64); 18] {
        let datagrams = |fate: DatagramFate| (fate.name(), self.datagrams[fate]);
        let flows = |fate: FlowFate| (fate.name(), self.flows[fate]);
        [
            ("datagrams", self.datagrams.total()),
            ("flows", self.flows.total()),
            ("templates", self.templates),
            datagrams(DatagramFate::Unregistered),
            flows(FlowFate::Unmatched),
            flows(FlowFate::Event),
            flows(FlowFate::Implausible),
            flows(FlowFate::OtherDirection),
            flows(FlowFate::NoIpHeader),
            flows(FlowFate::UnregisteredAgent),
            ("missing_template_sets", self.missing_template_sets),
            ("pending_sets", self.pending),
            ("pending_decoded_sets", self.pending_decoded),
            ("pending_expired_sets", self.pending_expired),
            ("corrected_sampling_rates", self.corrected_rates),
            ("decode_errors", self.decode_errors),
            ("clamped_flows", self.time_clamped),
            ("kernel_drops", self.kernel_drops),
        ]
    }
}

/// [`Counts::important`]: the sums that end the log of a run.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, count)) in self.important().iter().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(f, "{space}{name} {count}")?;
        }
        Ok(())
    }
}
