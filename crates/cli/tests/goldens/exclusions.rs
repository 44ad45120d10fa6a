//! The values that are not compared, and why. A row that nothing needs fails the test.

use crate::Source::{self, Akvorado, Logstash, Nfacctd, Tcpdump, Telegraf};

/// A field of a source that is not compared.
pub(crate) struct Exclusion {
    pub(crate) source: Source,
    pub(crate) field: &'static str,
    /// Parts of the names of the cases; empty: all of them.
    pub(crate) cases: &'static [&'static str],
    /// Read by people.
    #[expect(dead_code, reason = "the reason is for the reader of the table")]
    pub(crate) because: &'static str,
}

const fn row(source: Source, field: &'static str, cases: &'static [&'static str], because: &'static str) -> Exclusion {
    Exclusion { source, field, cases, because }
}

/// akvorado's cases of NetFlow and IPFIX.
const NETFLOW_OF_AKVORADO: &[&str] = &["/v5", "/v9-", "/ipfix-"];

/// pmacct's cases whose tests also have a BGP or BMP session.
const BGP_OF_PMACCT: &[&str] = &["/400-", "/401-", "/500-", "/501-"];

#[rustfmt::skip]
pub(crate) static EXCLUSIONS: &[Exclusion] = &[
    row(Akvorado, "ExporterAddress", NETFLOW_OF_AKVORADO, "the test hands the datagrams in with an address of its own"),
    row(Akvorado, "NextHop", &["ipfix-physicalinterfaces"], "both next hops are unspecified: akvorado shows that of IPv6, we compare that of IPv4"),
    row(Akvorado, "OutIf", &["sflow-local-interface"], "akvorado writes 0 for 0x3fffffff, the agent itself (sFlow v5, definition of interface); we show what was sent"),
    row(Akvorado, "SamplingRate", &["ipfix-srv6"], "0 is akvorado's word for a rate that is not known; ours is 1"),
    row(Akvorado, "TimeReceived", &[], "the time at which the test hands the datagrams in"),

    row(Logstash, "@version", &[], "the version of Logstash's events"),
    row(Logstash, "flow_records", &[], "the count in the header: of the datagram, not of a record"),
    row(Logstash, "mpls_label_stack_octets", &["netflow-9-ubiquiti-edgerouter-with-mpls-labels"], "the field is element 201, mplsLabelStackLength: 4 octets of labels, not a label stack entry (IANA's registry): we are right"),
    row(Logstash, "sampling_algorithm", &[], "v5's mode of sampling, which changes no number"),

    row(Nfacctd, "label", &[], "set by the configuration of the test"),
    row(Nfacctd, "writer_id", &[], "the name of the process"),
    row(Nfacctd, "flows", &[], "always null"),
    row(Nfacctd, "peer_ip_src", &[], "the test sends from addresses of its own"),
    row(Nfacctd, "net_src", &[], "from BGP, or the address under the mask that is compared"),
    row(Nfacctd, "net_dst", &[], "from BGP, or the address under the mask that is compared"),
    row(Nfacctd, "mask_src", BGP_OF_PMACCT, "from BGP, where the test has it"),
    row(Nfacctd, "mask_dst", BGP_OF_PMACCT, "from BGP, where the test has it"),
    row(Nfacctd, "timestamp_start", BGP_OF_PMACCT, "the time of export: IPFIX has no uptime in its header, and nfacctd does not add systemInitTimeMilliseconds (RFC 7011, 3.1; IANA, element 160)"),
    row(Nfacctd, "mpls_vpn_rd", &[], "from BGP, BMP or a map of the test"),
    row(Nfacctd, "mpls_vpn_rd_origin", &[], "the source of the column before"),
    row(Nfacctd, "comms", &[], "from BGP"),
    row(Nfacctd, "ecomms", &[], "from BGP"),
    row(Nfacctd, "as_path", &[], "from BGP"),
    row(Nfacctd, "comms_src", &[], "from BGP"),
    row(Nfacctd, "ecomms_src", &[], "from BGP"),
    row(Nfacctd, "as_path_src", &[], "from BGP"),
    row(Nfacctd, "vrf_name", &[], "joined from options records, which are compared themselves"),
    row(Nfacctd, "ingress_vrf_name", &[], "joined from options records, which are compared themselves"),
    row(Nfacctd, "egress_vrf_name", &[], "joined from options records, which are compared themselves"),

    row(Tcpdump, "length", &[], "octets of the sample on the wire"),
    row(Tcpdump, "datagram length", &[], "octets of the datagram on the wire"),
    row(Tcpdump, "datagram samples", &[], "of the datagram, not of a record"),
    row(Tcpdump, "records", &[], "how many structures the sample has; their fields are compared"),

    row(Telegraf, "direction", &["sflow_issue_15375"], "telegraf's guess from the interfaces"),
    row(Telegraf, "flows", &[], "the count in the header: of the datagram, not of a record"),
    row(Telegraf, "fwd_reason", &[], "in forwardingStatus, which is compared as fwd_status"),
    row(Telegraf, "type", &[], "marks Ethernet counters, which are compared"),
    row(Telegraf, "source", &[], "where telegraf's test sent the capture from"),
];
