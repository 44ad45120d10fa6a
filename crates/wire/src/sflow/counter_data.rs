//! The structures of counter records, by the names of the sFlow specifications (sflow.org, "sFlow Structure Numbers").
//! Enumerations are shown as their numbers.

use super::structure::Kind::{Fixed, Float, Mac, Signed, Text, Unsigned, UnsignedHyper};
use super::structure::{Structure, items, structures};

/// Version 5, sorted by data format.
pub(super) const V5: &[Structure] = structures! {
    1 if_counters {
        ifIndex: Unsigned, ifType: Unsigned, ifSpeed: UnsignedHyper, ifDirection: Unsigned, ifStatus: Unsigned,
        ifInOctets: UnsignedHyper, ifInUcastPkts: Unsigned, ifInMulticastPkts: Unsigned, ifInBroadcastPkts: Unsigned,
        ifInDiscards: Unsigned, ifInErrors: Unsigned, ifInUnknownProtos: Unsigned, ifOutOctets: UnsignedHyper,
        ifOutUcastPkts: Unsigned, ifOutMulticastPkts: Unsigned, ifOutBroadcastPkts: Unsigned, ifOutDiscards: Unsigned,
        ifOutErrors: Unsigned, ifPromiscuousMode: Unsigned,
    }
    2 ethernet_counters {
        dot3StatsAlignmentErrors: Unsigned, dot3StatsFCSErrors: Unsigned, dot3StatsSingleCollisionFrames: Unsigned,
        dot3StatsMultipleCollisionFrames: Unsigned, dot3StatsSQETestErrors: Unsigned,
        dot3StatsDeferredTransmissions: Unsigned, dot3StatsLateCollisions: Unsigned,
        dot3StatsExcessiveCollisions: Unsigned, dot3StatsInternalMacTransmitErrors: Unsigned,
        dot3StatsCarrierSenseErrors: Unsigned, dot3StatsFrameTooLongs: Unsigned,
        dot3StatsInternalMacReceiveErrors: Unsigned, dot3StatsSymbolErrors: Unsigned,
    }
    3 tokenring_counters {
        dot5StatsLineErrors: Unsigned, dot5StatsBurstErrors: Unsigned, dot5StatsACErrors: Unsigned,
        dot5StatsAbortTransErrors: Unsigned, dot5StatsInternalErrors: Unsigned, dot5StatsLostFrameErrors: Unsigned,
        dot5StatsReceiveCongestions: Unsigned, dot5StatsFrameCopiedErrors: Unsigned, dot5StatsTokenErrors: Unsigned,
        dot5StatsSoftErrors: Unsigned, dot5StatsHardErrors: Unsigned, dot5StatsSignalLoss: Unsigned,
        dot5StatsTransmitBeacons: Unsigned, dot5StatsRecoverys: Unsigned, dot5StatsLobeWires: Unsigned,
        dot5StatsRemoves: Unsigned, dot5StatsSingles: Unsigned, dot5StatsFreqErrors: Unsigned,
    }
    4 vg_counters {
        dot12InHighPriorityFrames: Unsigned, dot12InHighPriorityOctets: UnsignedHyper,
        dot12InNormPriorityFrames: Unsigned, dot12InNormPriorityOctets: UnsignedHyper, dot12InIPMErrors: Unsigned,
        dot12InOversizeFrameErrors: Unsigned, dot12InDataErrors: Unsigned, dot12InNullAddressedFrames: Unsigned,
        dot12OutHighPriorityFrames: Unsigned, dot12OutHighPriorityOctets: UnsignedHyper,
        dot12TransitionIntoTrainings: Unsigned, dot12HCInHighPriorityOctets: UnsignedHyper,
        dot12HCInNormPriorityOctets: UnsignedHyper, dot12HCOutHighPriorityOctets: UnsignedHyper,
    }
    5 vlan_counters {
        vlan_id: Unsigned, octets: UnsignedHyper, ucastPkts: Unsigned, multicastPkts: Unsigned,
        broadcastPkts: Unsigned, discards: Unsigned,
    }
    6 ieee80211_counters {
        dot11TransmittedFragmentCount: Unsigned, dot11MulticastTransmittedFrameCount: Unsigned,
        dot11FailedCount: Unsigned, dot11RetryCount: Unsigned, dot11MultipleRetryCount: Unsigned,
        dot11FrameDuplicateCount: Unsigned, dot11RTSSuccessCount: Unsigned, dot11RTSFailureCount: Unsigned,
        dot11ACKFailureCount: Unsigned, dot11ReceivedFragmentCount: Unsigned,
        dot11MulticastReceivedFrameCount: Unsigned, dot11FCSErrorCount: Unsigned,
        dot11TransmittedFrameCount: Unsigned, dot11WEPUndecryptableCount: Unsigned,
        dot11QoSDiscardedFragmentCount: Unsigned, dot11AssociatedStationCount: Unsigned,
        dot11QoSCFPollsReceivedCount: Unsigned, dot11QoSCFPollsUnusedCount: Unsigned,
        dot11QoSCFPollsUnusableCount: Unsigned, dot11QoSCFPollsLostCount: Unsigned,
    }
    7 lag_port_stats {
        dot3adAggPortActorSystemID: Mac, dot3adAggPortPartnerOperSystemID: Mac, dot3adAggPortAttachedAggID: Unsigned,
        dot3adAggPortState: Fixed(4), dot3adAggPortStatsLACPDUsRx: Unsigned, dot3adAggPortStatsMarkerPDUsRx: Unsigned,
        dot3adAggPortStatsMarkerResponsePDUsRx: Unsigned, dot3adAggPortStatsUnknownRx: Unsigned,
        dot3adAggPortStatsIllegalRx: Unsigned, dot3adAggPortStatsLACPDUsTx: Unsigned,
        dot3adAggPortStatsMarkerPDUsTx: Unsigned, dot3adAggPortStatsMarkerResponsePDUsTx: Unsigned,
    }
    10 sfp {
        module_id: Unsigned, module_num_lanes: Unsigned, module_supply_voltage: Unsigned, module_temperature: Signed,
        lanes: items! { index: Unsigned, tx_bias_current: Unsigned, tx_power: Unsigned, tx_power_min: Unsigned, tx_power_max: Unsigned, tx_wavelength: Unsigned, rx_power: Unsigned, rx_power_min: Unsigned, rx_power_max: Unsigned, rx_wavelength: Unsigned },
    }
    1001 processor {
        cpu_5s: Signed, cpu_1m: Signed, cpu_5m: Signed, total_memory: UnsignedHyper, free_memory: UnsignedHyper,
    }
    1002 radio_utilization { elapsed_time: Unsigned, on_channel_time: Unsigned, on_channel_busy_time: Unsigned }
    1004 of_port { datapath_id: UnsignedHyper, port_no: Unsigned }
    1005 port_name { name: Text }
    2000 host_descr { hostname: Text, uuid: Fixed(16), machine_type: Unsigned, os_name: Unsigned, os_release: Text }
    2001 host_adapters { adapters: items! { ifIndex: Unsigned, mac_address: items! { mac: Mac } } }
    2002 host_parent { container_type: Unsigned, container_index: Unsigned }
    2003 host_cpu {
        load_one: Float, load_five: Float, load_fifteen: Float, proc_run: Unsigned, proc_total: Unsigned,
        cpu_num: Unsigned, cpu_speed: Unsigned, uptime: Unsigned, cpu_user: Unsigned, cpu_nice: Unsigned,
        cpu_system: Unsigned, cpu_idle: Unsigned, cpu_wio: Unsigned, cpu_intr: Unsigned, cpu_sintr: Unsigned,
        interrupts: Unsigned, contexts: Unsigned, cpu_steal: Unsigned, cpu_guest: Unsigned, cpu_guest_nice: Unsigned,
    }
    2004 host_memory {
        mem_total: UnsignedHyper, mem_free: UnsignedHyper, mem_shared: UnsignedHyper, mem_buffers: UnsignedHyper,
        mem_cached: UnsignedHyper, swap_total: UnsignedHyper, swap_free: UnsignedHyper, page_in: Unsigned,
        page_out: Unsigned, swap_in: Unsigned, swap_out: Unsigned,
    }
    2005 host_disk_io {
        disk_total: UnsignedHyper, disk_free: UnsignedHyper, part_max_used: Signed, reads: Unsigned,
        bytes_read: UnsignedHyper, read_time: Unsigned, writes: Unsigned, bytes_written: UnsignedHyper,
        write_time: Unsigned,
    }
    2006 host_net_io {
        bytes_in: UnsignedHyper, pkts_in: Unsigned, errs_in: Unsigned, drops_in: Unsigned, bytes_out: UnsignedHyper,
        packets_out: Unsigned, errs_out: Unsigned, drops_out: Unsigned,
    }
    2007 mib2_ip_group {
        ipForwarding: Unsigned, ipDefaultTTL: Unsigned, ipInReceives: Unsigned, ipInHdrErrors: Unsigned,
        ipInAddrErrors: Unsigned, ipForwDatagrams: Unsigned, ipInUnknownProtos: Unsigned, ipInDiscards: Unsigned,
        ipInDelivers: Unsigned, ipOutRequests: Unsigned, ipOutDiscards: Unsigned, ipOutNoRoutes: Unsigned,
        ipReasmTimeout: Unsigned, ipReasmReqds: Unsigned, ipReasmOKs: Unsigned, ipReasmFails: Unsigned,
        ipFragOKs: Unsigned, ipFragFails: Unsigned, ipFragCreates: Unsigned,
    }
    2008 mib2_icmp_group {
        icmpInMsgs: Unsigned, icmpInErrors: Unsigned, icmpInDestUnreachs: Unsigned, icmpInTimeExcds: Unsigned,
        icmpInParamProbs: Unsigned, icmpInSrcQuenchs: Unsigned, icmpInRedirects: Unsigned, icmpInEchos: Unsigned,
        icmpInEchoReps: Unsigned, icmpInTimestamps: Unsigned, icmpInAddrMasks: Unsigned, icmpInAddrMaskReps: Unsigned,
        icmpOutMsgs: Unsigned, icmpOutErrors: Unsigned, icmpOutDestUnreachs: Unsigned, icmpOutTimeExcds: Unsigned,
        icmpOutParamProbs: Unsigned, icmpOutSrcQuenchs: Unsigned, icmpOutRedirects: Unsigned, icmpOutEchos: Unsigned,
        icmpOutEchoReps: Unsigned, icmpOutTimestamps: Unsigned, icmpOutTimestampReps: Unsigned,
        icmpOutAddrMasks: Unsigned, icmpOutAddrMaskReps: Unsigned,
    }
    2009 mib2_tcp_group {
        tcpRtoAlgorithm: Unsigned, tcpRtoMin: Unsigned, tcpRtoMax: Unsigned, tcpMaxConn: Unsigned,
        tcpActiveOpens: Unsigned, tcpPassiveOpens: Unsigned, tcpAttemptFails: Unsigned, tcpEstabResets: Unsigned,
        tcpCurrEstab: Unsigned, tcpInSegs: Unsigned, tcpOutSegs: Unsigned, tcpRetransSegs: Unsigned,
        tcpInErrs: Unsigned, tcpOutRsts: Unsigned, tcpInCsumErrs: Unsigned,
    }
    2010 mib2_udp_group {
        udpInDatagrams: Unsigned, udpNoPorts: Unsigned, udpInErrors: Unsigned, udpOutDatagrams: Unsigned,
        udpRcvbufErrors: Unsigned, udpSndbufErrors: Unsigned, udpInCsumErrors: Unsigned,
    }
    2100 virt_node {
        mhz: Unsigned, cpus: Unsigned, memory: UnsignedHyper, memory_free: UnsignedHyper, num_domains: Unsigned,
    }
    2101 virt_cpu { state: Unsigned, cpuTime: Unsigned, nrVirtCpu: Unsigned }
    2102 virt_memory { memory: UnsignedHyper, maxMemory: UnsignedHyper }
    2103 virt_disk_io {
        capacity: UnsignedHyper, allocation: UnsignedHyper, available: UnsignedHyper, rd_req: Unsigned,
        rd_bytes: UnsignedHyper, wr_req: Unsigned, wr_bytes: UnsignedHyper, errs: Unsigned,
    }
    2104 virt_net_io {
        rx_bytes: UnsignedHyper, rx_packets: Unsigned, rx_errs: Unsigned, rx_drop: Unsigned, tx_bytes: UnsignedHyper,
        tx_packets: Unsigned, tx_errs: Unsigned, tx_drop: Unsigned,
    }
    2105 jvm_runtime { vm_name: Text, vm_vendor: Text, vm_version: Text }
    2106 jvm_statistics {
        heap_initial: UnsignedHyper, heap_used: UnsignedHyper, heap_committed: UnsignedHyper, heap_max: UnsignedHyper,
        non_heap_initial: UnsignedHyper, non_heap_used: UnsignedHyper, non_heap_committed: UnsignedHyper,
        non_heap_max: UnsignedHyper, gc_count: Unsigned, gc_time: Unsigned, classes_loaded: Unsigned,
        classes_total: Unsigned, classes_unloaded: Unsigned, compilation_time: Unsigned, thread_num_live: Unsigned,
        thread_num_daemon: Unsigned, thread_num_started: Unsigned, fd_open_count: Unsigned, fd_max_count: Unsigned,
    }
    2201 http_counters {
        method_option_count: Unsigned, method_get_count: Unsigned, method_head_count: Unsigned,
        method_post_count: Unsigned, method_put_count: Unsigned, method_delete_count: Unsigned,
        method_trace_count: Unsigned, method_connect_count: Unsigned, method_other_count: Unsigned,
        status_1XX_count: Unsigned, status_2XX_count: Unsigned, status_3XX_count: Unsigned,
        status_4XX_count: Unsigned, status_5XX_count: Unsigned, status_other_count: Unsigned,
    }
    2202 app_operations {
        application: Text, success: Unsigned, other: Unsigned, timeout: Unsigned, internal_error: Unsigned,
        bad_request: Unsigned, forbidden: Unsigned, too_large: Unsigned, not_implemented: Unsigned,
        not_found: Unsigned, unavailable: Unsigned, unauthorized: Unsigned,
    }
    2203 app_resources {
        user_time: Unsigned, system_time: Unsigned, mem_used: UnsignedHyper, mem_max: UnsignedHyper,
        fd_open: Unsigned, fd_max: Unsigned, conn_open: Unsigned, conn_max: Unsigned,
    }
    2204 memcache_counters {
        cmd_set: Unsigned, cmd_touch: Unsigned, cmd_flush: Unsigned, get_hits: Unsigned, get_misses: Unsigned,
        delete_hits: Unsigned, delete_misses: Unsigned, incr_hits: Unsigned, incr_misses: Unsigned,
        decr_hits: Unsigned, decr_misses: Unsigned, cas_hits: Unsigned, cas_misses: Unsigned, cas_badval: Unsigned,
        auth_cmds: Unsigned, auth_errors: Unsigned, threads: Unsigned, conn_yields: Unsigned,
        listen_disabled_num: Unsigned, curr_connections: Unsigned, rejected_connections: Unsigned,
        total_connections: Unsigned, connection_structures: Unsigned, evictions: Unsigned, reclaimed: Unsigned,
        curr_items: Unsigned, total_items: Unsigned, bytes_read: UnsignedHyper, bytes_written: UnsignedHyper,
        bytes: UnsignedHyper, limit_maxbytes: UnsignedHyper,
    }
    2206 app_workers {
        workers_active: Unsigned, workers_idle: Unsigned, workers_max: Unsigned, req_delayed: Unsigned,
        req_dropped: Unsigned,
    }
    2207 ovs_dp_stats {
        hits: Unsigned, misses: Unsigned, lost: Unsigned, mask_hits: Unsigned, flows: Unsigned, masks: Unsigned,
    }
    // Broadcom.
    (4413 << 12 | 3) hw_tables {
        host_entries: Unsigned, host_entries_max: Unsigned, ipv4_entries: Unsigned, ipv4_entries_max: Unsigned,
        ipv6_entries: Unsigned, ipv6_entries_max: Unsigned, ipv4_ipv6_entries: Unsigned,
        ipv4_ipv6_entries_max: Unsigned, long_ipv6_entries: Unsigned, long_ipv6_entries_max: Unsigned,
        total_routes: Unsigned, total_routes_max: Unsigned, ecmp_nexthops: Unsigned, ecmp_nexthops_max: Unsigned,
        mac_entries: Unsigned, mac_entries_max: Unsigned, ipv4_neighbors: Unsigned, ipv6_neighbors: Unsigned,
        ipv4_routes: Unsigned, ipv6_routes: Unsigned, acl_ingress_entries: Unsigned,
        acl_ingress_entries_max: Unsigned, acl_ingress_counters: Unsigned, acl_ingress_counters_max: Unsigned,
        acl_ingress_meters: Unsigned, acl_ingress_meters_max: Unsigned, acl_ingress_slices: Unsigned,
        acl_ingress_slices_max: Unsigned, acl_egress_entries: Unsigned, acl_egress_entries_max: Unsigned,
        acl_egress_counters: Unsigned, acl_egress_counters_max: Unsigned, acl_egress_meters: Unsigned,
        acl_egress_meters_max: Unsigned, acl_egress_slices: Unsigned, acl_egress_slices_max: Unsigned,
    }
    // NVIDIA.
    (5703 << 12 | 1) nvidia_gpu {
        device_count: Unsigned, processes: Unsigned, gpu_time: Unsigned, mem_time: Unsigned, mem_total: UnsignedHyper,
        mem_free: UnsignedHyper, ecc_errors: Unsigned, energy: Unsigned, temperature: Unsigned, fan_speed: Unsigned,
    }
};

/// Versions 2 and 4 (RFC 3176, section 4): the formats of the structures that a counters_version is made of, which are
/// those of version 5. The version is the place in this table.
pub(super) const V4: &[&[u32]] = &[
    &[],
    // GENERIC, ETHERNET, TOKENRING, FDDI, VG, WAN, VLAN.
    &[1],
    &[1, 2],
    &[1, 3],
    &[1],
    &[1, 4],
    &[1],
    &[5],
];
