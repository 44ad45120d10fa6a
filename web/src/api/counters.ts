// Counters over time, of everything and of the largest values of a field: /senders and /series.
import { query } from "../address";
import { DAY, HOUR, MINUTE, minuteText, type Span } from "../times";
import type { Counters } from "../units";
import { ApiError, get } from "./request";

export interface Prefix {
  prefix: string;
  prefixLen: number;
  network?: string;
}
export interface Sender {
  ip: string;
  /** Configured, or found by SNMP, BMP or DNS. */
  name?: string | null;
  nameSource?: string | null;
  last: string | null;
  prefixes: Prefix[];
  tags?: string[];
  samplingRate?: number | string;
  flowDirection?: string;
  outCounters?: string;
  natAddresses?: string;
  tunnels?: string;
  identity?: string;
  certificateName?: string;
}

export type Direction = "in" | "out" | "in:local" | "out:local";

export interface Remark {
  time?: string;
  kind: string;
  text: string;
  affected: boolean;
}
export interface Point {
  start: string;
  counters: Partial<Record<Direction, Counters>> | null;
}
export interface Series {
  points: Point[];
  remarks: Remark[];
}
/** A value of a field. */
export interface SplitRow {
  name: string;
  names?: Record<string, string>;
  /** What an interface was called, the oldest first; speeds are in bit/s. */
  interfaces?: { speed: number | null }[];
}
/** What the values have in a step: the counters are the sum of rows, rest and other. */
export interface Parts extends Counters {
  rows: Counters[];
  rest: Counters;
  other: Counters;
  truncated?: boolean;
}
/** The largest values of a field over time. */
export interface SplitSeries {
  rows: SplitRow[];
  points: { start: string; counters: Partial<Record<Direction, Parts>> | null }[];
  remarks: Remark[];
}

/** A network with its words. */
export interface Network {
  prefix: string;
  name?: string;
  customer?: string;
  tags?: string[];
}

/** The networks; none if the key has no access to them. */
export const networks = (abort?: AbortSignal): Promise<Network[]> =>
  get<Network[]>("/networks", abort).catch((error: Error) => {
    if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return [];
    throw error;
  });

export const prefixText = (prefix: Prefix): string => `${prefix.prefix}/${prefix.prefixLen}`;
export const senders = (abort?: AbortSignal): Promise<Sender[]> => get<Sender[]>("/senders?names=1", abort);

export type Step = "minute" | "hour" | "day" | "month";
const STEPS: Record<Exclude<Step, "month">, number> = { minute: MINUTE, hour: HOUR, day: DAY };

/** The finest step in which an answer about single names may cover the range: it has at most 1,441 of them. */
export function stepOf({ from, to }: Span): Step {
  const length = to - from;
  if (length <= DAY) return "minute";
  if (length <= 60 * DAY) return "hour";
  return length <= 1440 * DAY ? "day" : "month";
}

/** Samples of 5 minutes, as in /billing, begin at multiples of 5 minutes. */
export const SAMPLE = 5 * MINUTE;
/** Whether a range is long enough to be shown in samples. */
export const isSampled = ({ from, to }: Span): boolean => to - from > 6 * HOUR && to - from <= DAY;

/** The range in whole steps of UTC, as /series extends it, so that all questions are about the same time. */
export function wholeSteps({ from, to }: Span, step: Step): Span {
  if (isSampled({ from, to })) {
    const ceil = (time: number) => Math.ceil(time / SAMPLE) * SAMPLE;
    return { from: ceil(from), to: ceil(to) };
  }
  if (step !== "month") {
    const length = STEPS[step];
    return { from: Math.floor(from / length) * length, to: Math.ceil(to / length) * length };
  }
  const [first, last] = [new Date(from), new Date(to - 1)];
  return {
    from: Date.UTC(first.getUTCFullYear(), first.getUTCMonth()),
    to: Date.UTC(last.getUTCFullYear(), last.getUTCMonth() + 1),
  };
}

/** What a question is about. */
export interface Subject extends Span {
  /** An address, several with commas, `tag:...` or `all`. */
  sender: string;
  prefix: string;
}

function path(route: string, subject: Subject, parameters: Record<string, string | number | undefined>): string {
  const { sender, prefix, from, to } = subject;
  const several = sender === "all" || sender.includes(",") || sender.startsWith("tag:");
  const times = { from: minuteText(from), to: minuteText(to) };
  return `/${route}${several ? "" : `/${sender}`}${query({ ...(several && { sender }), prefix, ...parameters, ...times })}`;
}

/** The question about one counter; of directions several with commas. */
export const seriesPath = (subject: Subject, name: string, step: Step, direction?: string): string =>
  path("series", subject, { name: name === "all" ? undefined : name, direction, step });

/** Which values of a field: the largest ones, or these. */
export type Chosen = { n: number; by: string } | { values: string };

export const splitPath = (subject: Subject, field: string, step: Step, direction: string, chosen: Chosen): string =>
  path("series", subject, {
    field,
    ...("values" in chosen ? chosen : { n: chosen.n, by: chosen.by === "bytes" ? undefined : chosen.by }),
    direction,
    step,
    names: 1,
  });
