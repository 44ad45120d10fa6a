// What the Flows page shows, as its URL has it.
import { oneOf, query } from "../../address";
import { lengthOf, minuteText, type Range, rangeParameters, readRange, spanOf } from "../../times";
import type { Count } from "../../units";

export const SHOWN = ["groups", "ways", "hours", "rows"] as const;
export type Shown = (typeof SHOWN)[number];
export const SUMS = ["bytes", "packets", "flows"] as const;
export type Sum = (typeof SUMS)[number];

export interface View {
  filter: string;
  /** Only flows of this router. */
  exporter: string | null;
  range: Range;
  /** Columns with commas, such as `srcip,dstport`. */
  by: string;
  sum: Sum;
  groups: number;
  shown: Shown;
  /** Where the rows begin that are shown. */
  cursor: string | null;
  /** The rows of hours: each day, or the mean of each day of the week. */
  days: Days;
  /** Whether hours are those of UTC. */
  utc: boolean;
}
export const DAYS = ["each", "weekdays"] as const;
export type Days = (typeof DAYS)[number];
export const GROUPS = [10, 20, 50] as const;

export function readView(parameters: URLSearchParams): View {
  const groups = Number(parameters.get("n"));
  return {
    filter: parameters.get("filter") ?? "",
    exporter: parameters.get("exporter"),
    range: readRange(parameters, "1h"),
    by: parameters.get("by") ?? "srcip,dstip",
    sum: oneOf(parameters.get("sum"), SUMS),
    groups: GROUPS.find((allowed) => allowed === groups) ?? 10,
    shown: oneOf(parameters.get("show"), SHOWN),
    cursor: parameters.get("cursor"),
    days: oneOf(parameters.get("days"), DAYS),
    utc: parameters.get("tz") === "UTC",
  };
}

export function flowsUrl(view: View): string {
  return `/web/flows${query({
    filter: view.filter,
    exporter: view.exporter,
    ...rangeParameters(view.range),
    by: view.by === "srcip,dstip" ? null : view.by,
    sum: view.sum === "bytes" ? null : view.sum,
    n: view.groups === 10 ? null : view.groups,
    show: view.shown === "groups" ? null : view.shown,
    cursor: view.cursor,
    days: view.days === "each" ? null : view.days,
    tz: view.utc ? "UTC" : null,
  })}`;
}

/** Hours of the zone begin at these times, whatever its offset. */
export const HOURS = new Date().getTimezoneOffset() % 60 === 0 ? "received/1h" : "received/15m";

const STEPS = ["1s", "5s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "6h", "1d"];
const MOST_STEPS = 360;

/** The shortest step of which the range has few enough to be drawn. */
export function stepOf(length: number): string {
  return STEPS.find((step) => length / (lengthOf(step) ?? 1) <= MOST_STEPS) ?? "1d";
}

/** The time of the request: flows are found to the second, so a range that ends now does not end with a whole minute. */
function timesOf(range: Range, now: number): Record<string, string> {
  if ("last" in range && /[smhd]$/.test(range.last)) return { last: range.last };
  const { from, to } = spanOf(range, now);
  return { from: minuteText(from), to: minuteText(to) };
}

/** The path of the request. */
export function requestOf(view: View, now: number): string {
  const { from, to } = spanOf(view.range, now);
  const what = { filter: view.filter, exporter: view.exporter, ...timesOf(view.range, now) };
  if (view.shown === "rows") return `/flows${query({ ...what, n: 100, names: 1, cursor: view.cursor })}`;
  if (view.shown === "hours") return `/flows/top${query({ ...what, by: HOURS, n: 10_000 })}`;
  const every = stepOf(to - from);
  return `/flows/series${query({ ...what, by: view.by, sum: view.sum === "bytes" ? null : view.sum, n: view.groups, every, names: 1 })}`;
}

/** The filter with one more condition: what people click on. */
export function narrowed(filter: string, column: string, value: string | Count): string {
  const condition = column.includes("/") ? `${column.split("/")[0]} = ${value}` : `${column} = ${value}`;
  if (filter.trim() === "") return condition;
  return / or |\|\|/i.test(filter) ? `(${filter}) and ${condition}` : `${filter} and ${condition}`;
}
