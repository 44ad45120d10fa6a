// What the Traffic page shows, as its URL has it.
import { oneOf, query } from "../../address";
import type { Field } from "../../api/counters";
import { type Range, rangeParameters, readRange } from "../../times";
import { UNITS, type Unit } from "../../units";

/**
 * By what traffic is split. The field differs by direction, because the remote end of a flow is its source when it comes in, and
 * its destination when it goes out.
 */
export const SPLITS = {
  "remote-ip": { label: "Remote address", in: "srcip", out: "dstip" },
  "own-ip": { label: "Own address", in: "dstip", out: "srcip" },
  "remote-as": { label: "Remote AS", in: "srcas", out: "dstas" },
  "own-as": { label: "Own AS", in: "dstas", out: "srcas" },
  "remote-port": { label: "Remote port", in: "srcport", out: "dstport" },
  "own-port": { label: "Own port", in: "dstport", out: "srcport" },
  proto: { label: "Protocol", in: "proto", out: "proto" },
  inif: { label: "Input interface", in: "inif", out: "inif" },
  outif: { label: "Output interface", in: "outif", out: "outif" },
} as const satisfies Record<string, { label: string; in: Field; out: Field }>;
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

export function readView(parameters: URLSearchParams): View {
  const rows = Number(parameters.get("rows"));
  return {
    prefix: parameters.get("prefix"),
    sender: parameters.get("sender") ?? "all",
    range: readRange(parameters, "24h"),
    by: oneOf(parameters.get("by"), SPLIT_NAMES),
    only: parameters.get("only"),
    rows: ROWS.find((allowed) => allowed === rows) ?? 10,
    unit: oneOf(parameters.get("unit"), UNITS),
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
