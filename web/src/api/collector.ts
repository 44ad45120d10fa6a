// What the collector reports about routers and about itself: /exporters, /doctor, /unknown and /status.
import { add, type Count, shareOf } from "../units";
import { ApiError, get } from "./request";

export interface Arrivals {
  unit: string;
  received: Count;
  lost: Count;
  duplicates: Count;
  late: Count;
  restarts: Count;
}
/** A TCP connection over which an exporter sends IPFIX. */
export interface ExportConnection {
  port: number;
  listening: string;
  tls: { version: string; certificateName: string | null } | null;
  since: string;
  last: string | null;
  messages: Count;
  bytes: Count;
}
export interface Exporter {
  address: string;
  relay: string | null;
  protocols: Record<string, Count>;
  first: string | null;
  last: string | null;
  /** null until two moments are known to compute them from. */
  rates: { datagramsPerSecond: number; flowsPerSecond: number } | null;
  /** Of the last flush. */
  bitsPerSecond?: { in: number; out: number; local: number } | null;
  arrivals: Arrivals[];
  clockOffsetSeconds: number | null;
  counters: CounterTree;
  /** Left out if none are open. */
  exportConnections?: ExportConnection[];
  /** The last one that has ended. */
  endedExportConnection?: ExportConnection & { at: string; kind: string; reason: string };
}
/** Counters by name, some of them in groups. */
export interface CounterTree {
  [name: string]: Count | CounterTree;
}
export interface SamplingRate {
  rate: number;
  source: string;
  last: string;
}
export interface TemplateField {
  name: string | null;
  enterprise: number;
  id: number;
  length: number;
  scope: boolean;
}
export interface Template {
  protocol: string;
  domain: number;
  port: number;
  id: number;
  kind: string;
  announced: string;
  fields: TemplateField[];
}
export interface Interface {
  index: number;
  name: string | null;
  description: string | null;
  speed: number | null;
  source: string;
  since: string;
  until: string | null;
}
export interface Stream {
  protocol: string;
  domain: number;
  agent: string | null;
  port: number;
  datagrams: Count;
  lost: Count;
  duplicates: Count;
  late: Count;
  restarts: Count;
}
export interface Applied {
  protocol: string;
  domain: number;
  template: number | null;
  sampler: number | null;
  rate: number;
  source: string;
  unknown: boolean;
  statement: string | null;
}
export interface ExporterDetails extends Exporter {
  sampling: { multiplied: boolean; rates: SamplingRate[]; applied: Applied[] };
  templates: Template[];
  interfaces: Interface[];
  streams: Stream[];
  pending: { protocol: string; domain: number; template: number; sets: Count; since: string }[];
  pendingSets: Count;
  unmatched: { sampled: number; networks: { network: string; from: number; to: number }[] };
  unreadable: { error: string; received: string } | null;
}
export interface Finding {
  finding: string;
  /** null: it concerns the collector. */
  router: string | null;
  what: string;
  evidence: string[];
  /** Lines to type; what follows # is a comment. */
  run: string[];
}
export interface Unknown {
  address: string;
  name?: string | null;
  datagrams: Count;
  last: string;
  protocol: string | null;
  transport: "udp" | "tcp" | "tls";
}
export interface Ledger {
  name: string;
  sides: [string, string];
  left: Count;
  right: Count;
  violations: Count;
  difference: Count;
}
/** Another collector that gets copies of datagrams. */
export interface ForwardTarget {
  address: string;
  sent: Count;
  dropped: { queueFull: Count; failed: Count; otherFamily: Count };
  waitingBytes: Count;
}
/** What is known of the TCP connections of all exporters. */
export interface ExportConnections {
  listening: { address: string; tls: boolean }[];
  open: Count;
  limit: Count;
  limitPerSender: Count;
  refused: { address: string; reason: string; count: Count; last: string }[];
}
export interface Status {
  version: string;
  uptimeSeconds: number;
  store: { reachable: boolean; milliseconds: number };
  started: string;
  receiving: string[];
  counters: CounterTree;
  gauges: Record<string, { value: number; limit?: number }>;
  sockets: { address: string; thread: number; waitingBytes: number; waitingLimit: number; dropped: Count }[];
  ledgersChecked: string | null;
  ledgers: Ledger[];
  /** Left out if nothing is forwarded. */
  forward?: ForwardTarget[];
  /** Left out if none are accepted. */
  exportConnections?: ExportConnections;
  readers: LogReader[];
}

/** A reader of the log. */
export interface LogReader {
  name: string;
  /** Since when; null if it is not. */
  paused: string | null;
  skipping: boolean;
  unreadFlushes: Count;
  unreadBytes: Count;
  unreadSeconds: number;
  missingRecords: Count;
  forcedOutBytes: Count;
  skippedBytes: Count;
  failingSeconds: number | null;
  lastError: string | null;
}

export const exporters = (abort?: AbortSignal) => get<Exporter[]>("/exporters", abort);

/** Whether this collector has no findings at /doctor: it is asked once. */
let hasNoDoctor = false;

/** What doctor finds; nothing if this collector has no such path, or the key has no access to it. */
export async function findings(abort?: AbortSignal): Promise<Finding[]> {
  if (hasNoDoctor) return [];
  try {
    return (await get<{ findings: Finding[] }>("/doctor", abort)).findings;
  } catch (error) {
    hasNoDoctor = error instanceof ApiError && error.status === 404;
    return orNothing(error);
  }
}

/** Addresses that send without being registered; nothing if the key has no access to them. */
export const unknown = (abort?: AbortSignal): Promise<Unknown[]> => get<Unknown[]>("/unknown", abort).catch(orNothing);

function orNothing(error: unknown): [] {
  if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return [];
  throw error;
}

/** The share of what the exporter sent that never arrived, of its worst unit. */
export function lostShare(arrivals: Arrivals[]): number {
  return Math.max(0, ...arrivals.map(({ received, lost }) => shareOf(lost, add(received, lost))));
}
