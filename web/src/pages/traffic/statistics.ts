// The arithmetic of the Traffic page: rates of steps, what is left for other values, and figures of a row.
import { type Counters, rate, type Unit } from "../../units";

/** The mean rate of each step; null where the store has no counters. */
export type Rates = (number | null)[];

export interface Figures {
  /** The sum of the counter: octets, packets or flows. */
  total: number;
  average: number;
  min: number;
  max: number;
  last: number;
  /** The smallest rate that 95 of 100 known steps do not exceed. */
  percentile95: number;
}

export function ratesOf(counters: (Counters | null)[], seconds: number[], unit: Unit): Rates {
  return counters.map((counter, step) => counter && rate(counter, seconds[step] ?? 1, unit));
}

/** Sums of `length` steps each. A sum is null if nothing is stored for any of its steps. */
export function mergeSteps(counters: (Counters | null)[], length: number): (Counters | null)[] {
  if (length === 1) return counters;
  const merged: (Counters | null)[] = [];
  for (let first = 0; first < counters.length; first += length) {
    const part = counters.slice(first, first + length);
    merged.push(part.some((counter) => counter !== null) ? sum(part) : null);
  }
  return merged;
}

/** What the others of a total have, so that all add up to it. */
export function others(total: (Counters | null)[], parts: (Counters | null)[][]): (Counters | null)[] {
  return total.map((sum, step) => {
    if (!sum) return null;
    const left = { ...sum };
    for (const part of parts) subtract(left, part[step]);
    return left;
  });
}

/** Counters of the parts may be newer than the total by a flush: nothing is below 0. */
function subtract(left: Counters, part: Counters | null | undefined): void {
  if (!part) return;
  left.bytes = Math.max(0, left.bytes - part.bytes);
  left.pkts = Math.max(0, left.pkts - part.pkts);
  left.flows = Math.max(0, left.flows - part.flows);
}

export function sum(counters: (Counters | null)[]): Counters {
  const total = { bytes: 0, pkts: 0, flows: 0 };
  for (const counter of counters) {
    total.bytes += counter?.bytes ?? 0;
    total.pkts += counter?.pkts ?? 0;
    total.flows += counter?.flows ?? 0;
  }
  return total;
}

/** The nearest rank, as in /billing. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

export function figures(rates: Rates, seconds: number[], total: number, perUnit: number): Figures {
  const known = rates.filter((value): value is number => value !== null);
  const time = rates.reduce((sum: number, value, step) => sum + (value === null ? 0 : (seconds[step] ?? 0)), 0);
  return {
    total,
    average: time > 0 ? (total * perUnit) / time : 0,
    min: known.length > 0 ? Math.min(...known) : 0,
    max: known.length > 0 ? Math.max(...known) : 0,
    last: known.at(-1) ?? 0,
    percentile95: percentile(known, 0.95),
  };
}
