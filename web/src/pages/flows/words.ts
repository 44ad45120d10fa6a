// Words of filters, for completion: docs/filter.md, which is made from the grammar, has what they mean. A test compares both.
const WORDS =
  "and or not host net src dst port portrange proto tcp udp icmp icmp6 gre esp as if mask mac vlan vrf router ipv4 ipv6 " +
  "bytes packets flows revbytes revpackets rate duration bps pps bpp dscp ecn received exported exporter domain version " +
  "kind srcip dstip srcport dstport srcas dstas srcmask dstmask inif outif direction nexthop bgpnexthop nextas invrf " +
  "outvrf fwdstatus sampler start end endreason tcpflags flags tos ttl icmptype icmpcode fragid fragoffset flowlabel " +
  "srcmac dstmac srcvlan dstvlan innervlan etype mplslabel natsrcip natdstip natsrcport natdstport natevent fwevent app " +
  "innersrcip innerdstip innersrcport innerdstport innerproto vni in any inet inet6 igmp ipip egp igp dccp rsvp ah icmpv6 " +
  "eigrp ospf pim vrrp l2tp sctp ip country ether nat xip xport tun next hop bgpnext bgp pkts out octets flowrate fwdstat " +
  "revtcpflags icmp-type icmp-code mpls label portstart portend event asa srcasfrom dstasfrom srccountry dstcountry " +
  "aspath dstaspath";
export const ALL = WORDS.split(" ");
const MOST = 8;

/** The word at the cursor, and the words that it may become. */
export function completions(text: string, cursor: number): { start: number; words: string[] } {
  const start = text.slice(0, cursor).search(/[\w-]+$/);
  if (start < 0) return { start: cursor, words: [] };
  const typed = text.slice(start, cursor).toLowerCase();
  const words = ALL.filter((word) => word.startsWith(typed) && word !== typed).slice(0, MOST);
  return { start, words };
}

/** Where a filter is wrong: the collector counts characters from 1. */
export function placeOf(message: string): { column: number; text: string } | null {
  const parts = /^filter: column (\d+): ([\s\S]*)$/.exec(message);
  return parts?.[1] && parts[2] ? { column: Number(parts[1]), text: parts[2] } : null;
}
