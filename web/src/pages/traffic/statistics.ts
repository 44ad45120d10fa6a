// The arithmetic of the Traffic page: rates of steps, and figures of a row.
import { add, COUNTERS, type Count, type Counters, perCount, type Unit } from "../../units";

/** The mean rate of each step; null where the store has no counters. */
export type Rates = (number | null)[];

export interface Figures {
  /** The sum of the counter: octets, packets or flows. */
  total: Count;
  average: number;
  min: number;
  max: number;
  last: number;
  /** The smallest rate that 95 of 100 known steps do not exceed. */
  percentile95: number;
}

/** In percent of the speed of an interface, null unless it is known. */
export function ratesOf(counters: (Counters | null)[], seconds: number[], unit: Unit, speed?: number): Rates {
  const scale = perCount(unit, speed);
  return counters.map(
    (counter, step) =>
      counter && (scale === null ? null : (Number(counter[COUNTERS[unit]]) * scale) / (seconds[step] ?? 1)),
  );
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

export function sum(counters: (Counters | null)[]): Counters {
  const total: Counters = { bytes: 0, pkts: 0, flows: 0 };
  for (const counter of counters) {
    if (!counter) continue;
    total.bytes = add(total.bytes, counter.bytes);
    total.pkts = add(total.pkts, counter.pkts);
    total.flows = add(total.flows, counter.flows);
  }
  return total;
}

/** The nearest rank, as in /billing. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

/** Extremes are those of steps that have ended, as far as there are any: the present one is counted until the last flush. */
export function figures(rates: Rates, seconds: number[], ended: number, total: Count, scale: number | null): Figures {
  // Without a speed there is no percentage, not one of zero.
  const nothing = scale === null ? Number.NaN : 0;
  const knownOf = (rates: Rates) => rates.filter((value): value is number => value !== null);
  const whole = knownOf(rates.slice(0, ended));
  const known = whole.length > 0 ? whole : knownOf(rates);
  const time = rates.reduce((sum: number, value, step) => sum + (value === null ? 0 : (seconds[step] ?? 0)), 0);
  return {
    total,
    average: time > 0 && scale !== null ? (Number(total) * scale) / time : nothing,
    min: known.length > 0 ? Math.min(...known) : nothing,
    max: known.length > 0 ? Math.max(...known) : nothing,
    last: known.at(-1) ?? nothing,
    percentile95: known.length > 0 ? percentile(known, 0.95) : nothing,
  };
}
