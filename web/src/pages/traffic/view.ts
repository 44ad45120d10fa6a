// What the Traffic page shows, as its URL has it.
import { oneOf, query } from "../../address";
import { type Range, rangeParameters, readRange } from "../../times";
import { UNITS, type Unit } from "../../units";

/**
 * By what traffic is split: the field of /series, and the columns of flows. These differ by direction, because the remote end of a flow is its source when it comes in, and
 * its destination when it goes out.
 */
export const SPLITS = {
  "remote-ip": { label: "Remote address", field: "remoteip", in: "srcip", out: "dstip" },
  "own-ip": { label: "Own address", field: "ownip", in: "dstip", out: "srcip" },
  "remote-as": { label: "Remote AS", field: "remoteas", in: "srcas", out: "dstas" },
  "own-as": { label: "Own AS", field: "ownas", in: "dstas", out: "srcas" },
  "remote-port": { label: "Remote port", field: "remoteport", in: "srcport", out: "dstport" },
  "own-port": { label: "Own port", field: "ownport", in: "dstport", out: "srcport" },
  proto: { label: "Protocol", field: "proto", in: "proto", out: "proto" },
  inif: { label: "Input interface", field: "inif", in: "inif", out: "inif" },
  outif: { label: "Output interface", field: "outif", in: "outif", out: "outif" },
} as const satisfies Record<string, { label: string; field: string; in: string; out: string }>;
export type Split = keyof typeof SPLITS;
export const SPLIT_NAMES = Object.keys(SPLITS) as [Split, ...Split[]];
export const ROWS = [5, 10, 20] as const;

export interface View {
  prefix: string | null;
  sender: string;
  range: Range;
  by: Split;
  /** Only this value of the split, such as `443`. */
  only: string | null;
  rows: number;
  unit: Unit;
  /** Traffic between own networks, instead of that with others. */
  local: boolean;
  previous: boolean;
}

/** Only interfaces have a speed. */
export const unitsOf = (by: Split): readonly [Unit, ...Unit[]] =>
  by === "inif" || by === "outif" ? UNITS : (UNITS.filter((unit) => unit !== "percent") as [Unit, ...Unit[]]);

export function readView(parameters: URLSearchParams): View {
  const rows = Number(parameters.get("rows"));
  const by = oneOf(parameters.get("by"), SPLIT_NAMES);
  return {
    prefix: parameters.get("prefix"),
    sender: parameters.get("sender") ?? "all",
    range: readRange(parameters, "24h"),
    by,
    only: parameters.get("only"),
    rows: ROWS.find((allowed) => allowed === rows) ?? 10,
    unit: oneOf(parameters.get("unit"), unitsOf(by)),
    local: parameters.get("local") === "1",
    previous: parameters.get("previous") === "1",
  };
}

export function trafficUrl(view: Partial<View>): string {
  return `/web/traffic${query({
    prefix: view.prefix,
    sender: view.sender === "all" ? null : view.sender,
    ...(view.range && rangeParameters(view.range)),
    by: view.by === SPLIT_NAMES[0] ? null : view.by,
    only: view.only,
    rows: view.rows === 10 ? null : view.rows,
    unit: view.unit === UNITS[0] ? null : view.unit,
    local: view.local ? 1 : null,
    previous: view.previous ? 1 : null,
  })}`;
}
