//! The structures of flow records, by the names of the sFlow specifications (sflow.org, "sFlow Structure Numbers").
//! Enumerations are shown as their numbers.

use super::structure::Kind::{Address, Fixed, Ipv4, Ipv6, Mac, Opaque, Signed, Text, Unsigned, UnsignedHyper};
use super::structure::{Structure, items, structures};

pub(super) const SAMPLED_HEADER: u32 = 1;
pub(super) const SAMPLED_ETHERNET: u32 = 2;
pub(super) const SAMPLED_IPV4: u32 = 3;
pub(super) const SAMPLED_IPV6: u32 = 4;
pub(super) const EXTENDED_SWITCH: u32 = 1001;
pub(super) const EXTENDED_ROUTER: u32 = 1002;
pub(super) const EXTENDED_GATEWAY: u32 = 1003;
pub(super) const EXTENDED_NAT: u32 = 1007;
pub(super) const EXTENDED_NAT_PORT: u32 = 1020;
pub(super) const EXTENDED_DECAPSULATE_EGRESS: u32 = 1027;
pub(super) const EXTENDED_DECAPSULATE_INGRESS: u32 = 1028;
pub(super) const EXTENDED_VNI_EGRESS: u32 = 1029;
pub(super) const EXTENDED_VNI_INGRESS: u32 = 1030;

/// Version 5, sorted by data format.
pub(super) const V5: &[Structure] = structures! {
    1 sampled_header { protocol: Unsigned, frame_length: Unsigned, stripped: Unsigned, header: Opaque }
    2 sampled_ethernet { length: Unsigned, src_mac: Mac, dst_mac: Mac, type: Unsigned }
    3 sampled_ipv4 {
        length: Unsigned, protocol: Unsigned, src_ip: Ipv4, dst_ip: Ipv4,
        src_port: Unsigned, dst_port: Unsigned, tcp_flags: Unsigned, tos: Unsigned,
    }
    4 sampled_ipv6 {
        length: Unsigned, protocol: Unsigned, src_ip: Ipv6, dst_ip: Ipv6,
        src_port: Unsigned, dst_port: Unsigned, tcp_flags: Unsigned, priority: Unsigned,
    }
    1001 extended_switch { src_vlan: Unsigned, src_priority: Unsigned, dst_vlan: Unsigned, dst_priority: Unsigned }
    1002 extended_router { nexthop: Address, src_mask_len: Unsigned, dst_mask_len: Unsigned }
    1003 extended_gateway {
        nexthop: Address, as: Unsigned, src_as: Unsigned, src_peer_as: Unsigned,
        dst_as_path: items! { type: Unsigned, path: items! { as: Unsigned } },
        communities: items! { community: Unsigned }, localpref: Unsigned,
    }
    1004 extended_user { src_charset: Unsigned, src_user: Text, dst_charset: Unsigned, dst_user: Text }
    1005 extended_url { direction: Unsigned, url: Text, host: Text }
    1006 extended_mpls {
        nexthop: Address, in_stack: items! { label: Unsigned }, out_stack: items! { label: Unsigned },
    }
    1007 extended_nat { src_address: Address, dst_address: Address }
    1008 extended_mpls_tunnel { tunnel_lsp_name: Text, tunnel_id: Unsigned, tunnel_cos: Unsigned }
    1009 extended_mpls_vc { vc_instance_name: Text, vll_vc_id: Unsigned, vc_label_cos: Unsigned }
    1010 extended_mpls_FTN { mplsFTNDescr: Text, mplsFTNMask: Unsigned }
    1011 extended_mpls_LDP_FEC { mplsFecAddrPrefixLength: Unsigned }
    1012 extended_vlantunnel { stack: items! { layer: Unsigned } }
    1013 extended_80211_payload { ciphersuite: Unsigned, data: Opaque }
    1014 extended_80211_rx {
        ssid: Text, bssid: Mac, version: Unsigned, channel: Unsigned, speed: UnsignedHyper,
        rsni: Unsigned, rcpi: Unsigned, packet_duration: Unsigned,
    }
    1015 extended_80211_tx {
        ssid: Text, bssid: Mac, version: Unsigned, transmissions: Unsigned, packet_duration: Unsigned,
        retrans_duration: Unsigned, channel: Unsigned, speed: UnsignedHyper, power: Unsigned,
    }
    1016 extended_80211_aggregation {
        pdus: items! { flow_records: items! { flow_format: Unsigned, flow_data: Opaque } },
    }
    1017 extended_openflow_v1 { flow_cookie: UnsignedHyper, flow_match: Unsigned, flow_actions: Unsigned }
    1018 extended_fc { src_mask_len: Unsigned, dst_mask_len: Unsigned, next_hop: Unsigned, metric: Unsigned }
    1019 extended_queue_length { queueIndex: Unsigned, queueLength: Unsigned }
    1020 extended_nat_port { src_port: Unsigned, dst_port: Unsigned }
    1021 extended_L2_tunnel_egress { length: Unsigned, src_mac: Mac, dst_mac: Mac, type: Unsigned }
    1022 extended_L2_tunnel_ingress { length: Unsigned, src_mac: Mac, dst_mac: Mac, type: Unsigned }
    1023 extended_ipv4_tunnel_egress {
        length: Unsigned, protocol: Unsigned, src_ip: Ipv4, dst_ip: Ipv4,
        src_port: Unsigned, dst_port: Unsigned, tcp_flags: Unsigned, tos: Unsigned,
    }
    1024 extended_ipv4_tunnel_ingress {
        length: Unsigned, protocol: Unsigned, src_ip: Ipv4, dst_ip: Ipv4,
        src_port: Unsigned, dst_port: Unsigned, tcp_flags: Unsigned, tos: Unsigned,
    }
    1025 extended_ipv6_tunnel_egress {
        length: Unsigned, protocol: Unsigned, src_ip: Ipv6, dst_ip: Ipv6,
        src_port: Unsigned, dst_port: Unsigned, tcp_flags: Unsigned, priority: Unsigned,
    }
    1026 extended_ipv6_tunnel_ingress {
        length: Unsigned, protocol: Unsigned, src_ip: Ipv6, dst_ip: Ipv6,
        src_port: Unsigned, dst_port: Unsigned, tcp_flags: Unsigned, priority: Unsigned,
    }
    1027 extended_decapsulate_egress { inner_header_offset: Unsigned }
    1028 extended_decapsulate_ingress { inner_header_offset: Unsigned }
    1029 extended_vni_egress { vni: Unsigned }
    1030 extended_vni_ingress { vni: Unsigned }
    1031 extended_ib_lrh {
        src_vl: Unsigned, src_sl: Unsigned, src_dlid: Unsigned, src_slid: Unsigned, src_lnh: Unsigned,
        dst_vl: Unsigned, dst_sl: Unsigned, dst_dlid: Unsigned, dst_slid: Unsigned, dst_lnh: Unsigned,
    }
    1032 extended_ib_grh {
        flow_label: Unsigned, tc: Unsigned, s_gid: Fixed(16), d_gid: Fixed(16),
        next_header: Unsigned, length: Unsigned,
    }
    1033 extended_ib_bth { pkey: Unsigned, dst_qp: Unsigned, opcode: Unsigned }
    1034 extended_vlanin { stack: items! { layer: Unsigned } }
    1035 extended_vlanout { stack: items! { layer: Unsigned } }
    1036 extended_egress_queue { queue: Unsigned }
    1037 extended_acl { number: Unsigned, name: Text, direction: Unsigned }
    1038 extended_function { symbol: Text }
    1039 extended_transit { delay: Unsigned }
    1040 extended_queue { depth: Unsigned }
    1041 extended_hw_trap { group: Text, trap: Text }
    1042 extended_linux_drop_reason { reason: Text }
    2000 transaction {
        direction: Unsigned, wait: Unsigned, duration: Unsigned, status: Unsigned,
        bytes_received: UnsignedHyper, bytes_send: UnsignedHyper,
    }
    2001 extended_nfs_storage_transaction { path: Text, operation: Unsigned, status: Unsigned }
    2002 extended_scsi_storage_transaction { lun: Unsigned, operation: Unsigned, status: Unsigned }
    2003 extended_http_transaction {
        url: Text, host: Text, referer: Text, useragent: Text, user: Text, status: Unsigned,
    }
    2100 extended_socket_ipv4 {
        protocol: Unsigned, local_ip: Ipv4, remote_ip: Ipv4, local_port: Unsigned, remote_port: Unsigned,
    }
    2101 extended_socket_ipv6 {
        protocol: Unsigned, local_ip: Ipv6, remote_ip: Ipv6, local_port: Unsigned, remote_port: Unsigned,
    }
    2102 extended_proxy_socket_ipv4 {
        protocol: Unsigned, local_ip: Ipv4, remote_ip: Ipv4, local_port: Unsigned, remote_port: Unsigned,
    }
    2103 extended_proxy_socket_ipv6 {
        protocol: Unsigned, local_ip: Ipv6, remote_ip: Ipv6, local_port: Unsigned, remote_port: Unsigned,
    }
    2200 memcache_operation {
        protocol: Unsigned, cmd: Unsigned, key: Text, nkeys: Unsigned, value_bytes: Unsigned,
        uS: Unsigned, status: Unsigned,
    }
    2202 app_operation {
        application: Text, operation: Text, attributes: Text, status_descr: Text,
        req_bytes: UnsignedHyper, resp_bytes: UnsignedHyper, uS: Unsigned, status: Unsigned,
    }
    2203 app_parent_context { application: Text, operation: Text, attributes: Text }
    2204 app_initiator { actor: Text }
    2205 app_target { actor: Text }
    2206 http_request {
        method: Unsigned, protocol: Unsigned, uri: Text, host: Text, referer: Text, useragent: Text,
        xff: Text, authuser: Text, mime_type: Text, req_bytes: UnsignedHyper, resp_bytes: UnsignedHyper,
        uS: Unsigned, status: Signed,
    }
    2207 extended_proxy_request { uri: Text, host: Text }
    2208 extended_nav_timing {
        type: Unsigned, redirectCount: Unsigned, navigationStart: Unsigned, unloadEventStart: Unsigned,
        unloadEventEnd: Unsigned, redirectStart: Unsigned, redirectEnd: Unsigned, fetchStart: Unsigned,
        domainLookupStart: Unsigned, domainLookupEnd: Unsigned, connectStart: Unsigned, connectEnd: Unsigned,
        secureConnectionStart: Unsigned, requestStart: Unsigned, responseStart: Unsigned, responseEnd: Unsigned,
        domLoading: Unsigned, domInteractive: Unsigned, domContentLoadedEventStart: Unsigned,
        domContentLoadedEventEnd: Unsigned, domComplete: Unsigned, loadEventStart: Unsigned, loadEventEnd: Unsigned,
    }
    2209 extended_tcp_info {
        dir: Unsigned, snd_mss: Unsigned, rcv_mss: Unsigned, unacked: Unsigned, lost: Unsigned, retrans: Unsigned,
        pmtu: Unsigned, rtt: Unsigned, rttvar: Unsigned, snd_cwnd: Unsigned, reordering: Unsigned, min_rtt: Unsigned,
    }
    2210 extended_entities {
        src_ds_type: Unsigned, src_ds_index: Unsigned, dst_ds_type: Unsigned, dst_ds_index: Unsigned,
    }
    // Broadcom.
    (4413 << 12 | 1) extended_bst_egress_queue { queue: Unsigned }
};

/// Versions 2 and 4 (RFC 3176, section 4): the packet of a flow sample, by packet_information_type.
pub(super) const PACKET_V4: &[Structure] = structures! {
    1 sampled_header { protocol: Unsigned, frame_length: Unsigned, header: Opaque }
    2 sampled_ipv4 {
        length: Unsigned, protocol: Unsigned, src_ip: Ipv4, dst_ip: Ipv4,
        src_port: Unsigned, dst_port: Unsigned, tcp_flags: Unsigned, tos: Unsigned,
    }
    3 sampled_ipv6 {
        length: Unsigned, protocol: Unsigned, src_ip: Ipv6, dst_ip: Ipv6,
        src_port: Unsigned, dst_port: Unsigned, tcp_flags: Unsigned, priority: Unsigned,
    }
};

/// Version 4 (RFC 3176, section 4): further structures, by extended_information_type.
pub(super) const EXTENDED_V4: &[Structure] = structures! {
    1 extended_switch { src_vlan: Unsigned, src_priority: Unsigned, dst_vlan: Unsigned, dst_priority: Unsigned }
    2 extended_router { nexthop: Address, src_mask: Unsigned, dst_mask: Unsigned }
    3 extended_gateway {
        as: Unsigned, src_as: Unsigned, src_peer_as: Unsigned,
        dst_as_path: items! { type: Unsigned, path: items! { as: Unsigned } },
        communities: items! { community: Unsigned }, localpref: Unsigned,
    }
    4 extended_user { src_user: Text, dst_user: Text }
    5 extended_url { direction: Unsigned, url: Text }
};

/// Version 2: the path is of AS numbers alone; there are no communities and no URLs.
pub(super) const EXTENDED_V2: &[Structure] = structures! {
    1 extended_switch { src_vlan: Unsigned, src_priority: Unsigned, dst_vlan: Unsigned, dst_priority: Unsigned }
    2 extended_router { nexthop: Address, src_mask: Unsigned, dst_mask: Unsigned }
    3 extended_gateway {
        as: Unsigned, src_as: Unsigned, src_peer_as: Unsigned, dst_as_path: items! { as: Unsigned },
    }
    4 extended_user { src_user: Text, dst_user: Text }
};
