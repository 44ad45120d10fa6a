// What the Now page shows: the last hour of all networks and of each router.
import { query } from "../../address";
import {
  senders as loadSenders,
  type Prefix,
  prefixText,
  type Sender,
  type Series,
  seriesPath,
} from "../../api/counters";
import { ApiError, get } from "../../api/request";
import { outermost } from "../../networks";
import { type Span, spanOf } from "../../times";
import type { Count, Counters } from "../../units";

const MOST_NETWORKS = 20;
const NOTHING: Counters = { bytes: 0, pkts: 0, flows: 0 };

export interface NetworkTraffic {
  prefix: string;
  name: string | undefined;
  in: (Counters | null)[];
  out: (Counters | null)[];
}
export interface Hour {
  span: Span;
  starts: number[];
  /** How long each minute has lasted: the last one is running. */
  seconds: number[];
  networks: NetworkTraffic[];
  /** How many networks are not shown. */
  more: number;
  /** The requests that these numbers are from. */
  requests: string[];
}

/** The last hour by minutes, of each network that is in no other one: so nothing is added up twice. */
export async function loadHour(abort: AbortSignal): Promise<Hour> {
  const now = Date.now();
  const span = spanOf({ last: "1h" }, now);
  const prefixes = outermost((await loadSenders(abort)).flatMap((sender: Sender) => sender.prefixes));
  const shown = prefixes.slice(0, MOST_NETWORKS);
  const requests = shown.map((prefix) => hourPath(prefix, span));
  const networks = await Promise.all(shown.map((prefix) => loadNetwork(prefix, span, abort)));
  const starts = Array.from({ length: 60 }, (_, minute) => span.from + minute * 60_000);
  return {
    span,
    starts,
    networks,
    seconds: starts.map((start) => secondsUntil(start, now)),
    more: prefixes.length - shown.length,
    requests,
  };
}

const secondsUntil = (start: number, now: number): number => Math.min(60, Math.max(1, (now - start) / 1000));

const hourPath = (prefix: Prefix, span: Span): string =>
  seriesPath({ sender: "all", prefix: prefixText(prefix), ...span }, "all", "minute");

async function loadNetwork(prefix: Prefix, span: Span, abort: AbortSignal): Promise<NetworkTraffic> {
  const { points } = await get<Series>(hourPath(prefix, span), abort);
  const of = (direction: "in" | "out") => points.map(({ counters }) => counters && (counters[direction] ?? NOTHING));
  return { prefix: prefixText(prefix), name: prefix.network, in: of("in"), out: of("out") };
}

interface FlowSeries {
  rows: { key: { exporter: string } }[];
  steps: { start: string; rows: { bytes: Count }[] }[];
}

/** The octets of each router in each minute of the last hour, from the archive; none where there is no archive. */
export async function loadSparks(abort: AbortSignal): Promise<Map<string, number[]>> {
  const { from } = spanOf({ last: "1h" });
  const path = `/flows/series${query({ by: "exporter", every: "1m", n: 50, from: new Date(from).toISOString() })}`;
  const answer = await get<FlowSeries>(path, abort).catch((error: Error) => {
    if (error instanceof ApiError) return { rows: [], steps: [] };
    throw error;
  });
  const sparks = new Map(answer.rows.map(({ key }) => [key.exporter, new Array<number>(60).fill(0)]));
  for (const step of answer.steps) {
    const minute = Math.round((Date.parse(step.start) - from) / 60_000);
    answer.rows.forEach(({ key }, row) => {
      const values = sparks.get(key.exporter);
      if (values && minute >= 0 && minute < 60) values[minute] = Number(step.rows[row]?.bytes ?? 0);
    });
  }
  return new Map([...sparks].map(([address, values]) => [address, withoutRunning(values)]));
}

/** The minutes that have ended, as far as there was anything in them: the last one is running. */
export function withoutRunning(minutes: number[]): number[] {
  const whole = minutes.slice(0, -1);
  return whole.some((octets) => octets > 0) ? whole : minutes;
}
