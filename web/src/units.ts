// Amounts and rates as text. Every number on a page is written here, so all of them look alike.

/** A counter of up to 2^64 - 1: beyond 2^53, a number would lose digits. */
export type Count = number | bigint;
export interface Counters {
  bytes: Count;
  pkts: Count;
  flows: Count;
}

/** The exact sum. */
export function add(one: Count, other: Count): Count {
  const about = Number(one) + Number(other);
  return Number.isSafeInteger(about) ? about : BigInt(one) + BigInt(other);
}

/** The share of a part; 0 of nothing. */
export const shareOf = (part: Count, whole: Count): number => (whole > 0 ? Number(part) / Number(whole) : 0);

/** The units in which traffic is shown. */
export type Unit = "bits" | "packets" | "flows" | "percent";
export const UNITS: readonly [Unit, ...Unit[]] = ["bits", "packets", "flows", "percent"];
export const UNIT_NAMES: Record<Unit, string> = {
  bits: "bit/s",
  packets: "packets/s",
  flows: "flows/s",
  percent: "% of speed",
};
/** The counter of the REST interface that a unit is computed from. */
export const COUNTERS: Record<Unit, keyof Counters> = {
  bits: "bytes",
  packets: "pkts",
  flows: "flows",
  percent: "bytes",
};

/** What a counter of one in a second is in a unit; in percent of the speed of an interface in bit/s, if that is known. */
export function perCount(unit: Unit, speed?: number): number | null {
  if (unit === "percent") return speed ? 800 / speed : null;
  return unit === "bits" ? 8 : 1;
}

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Exact, with separators of thousands. */
export const exact = (value: Count): string => whole.format(value);

/** Three significant digits and a decimal prefix: `1.25 G`. */
export function rounded(count: Count): string {
  const value = Number(count);
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0 ";
  if (size < 1) return `${value.toPrecision(2)} `;
  let step = Math.min(Math.floor(Math.log10(size) / 3), PREFIXES.length - 1);
  // 999.9 k is 1.00 M.
  if (Number((size / 1000 ** step).toPrecision(3)) >= 1000 && step < PREFIXES.length - 1) step += 1;
  const scaled = value / 1000 ** step;
  const digits = step === 0 && Number.isInteger(value) ? String(value) : scaled.toPrecision(3);
  return `${digits} ${PREFIXES[step]}`;
}

/** A rate of counters over seconds, in the unit. */
export function rate(counters: Counters, seconds: number, unit: Unit): number {
  return (Number(counters[COUNTERS[unit]]) * (unit === "bits" ? 8 : 1)) / seconds;
}

export const rateText = (value: number, unit: Unit): string =>
  unit === "percent" ? percent(value / 100) : `${rounded(value)}${RATE_NAMES[unit]}`;
const RATE_NAMES = { bits: "bit/s", packets: "p/s", flows: "f/s" };

/** The text of a rate where a heading has the unit. */
export const rateShort = (value: number): string => rounded(value).trimEnd();

export const bytesText = (value: Count): string => `${rounded(value)}B`;
export const countText = (value: Count): string => rounded(value).trimEnd();

/** A share of 1 as a percentage with as many digits as matter. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const value = share * 100;
  if (value === 0 || value >= 99.95) return `${value.toFixed(0)} %`;
  return value < 0.1 ? "< 0.1 %" : `${value.toFixed(1)} %`;
}

/** `1 flow`, `2 flows`. */
export const count = (value: Count, noun: string): string => `${exact(value)} ${noun}${Number(value) === 1 ? "" : "s"}`;
