// Answers about flows: /flows, /flows/top and /flows/series.

import type { Count } from "../../units";

export type Value = string | Count | null;
export interface Sums {
  records: Count;
  bytes: Count;
  packets: Count;
  flows: Count;
}
export interface Group extends Sums {
  key?: Record<string, Value>;
  names?: Record<string, string>;
}
export interface Coverage {
  since: string | null;
  reaches: string | null;
  missing: { from?: string; until?: string; flows?: number; reason?: string }[];
  leftOut: unknown[];
}
export interface TopAnswer {
  from: string;
  to: string;
  by: string[];
  rows: Group[];
  rest: Sums & { groups: number };
  total: Sums;
  coverage: Coverage;
}
export interface GroupsAnswer extends TopAnswer {
  every: string;
  steps: { start: string; rows: Sums[]; rest: Sums }[];
}
export type FlowRow = Record<string, Value | Record<string, string>>;
export interface RowsAnswer {
  from: string;
  to: string;
  columns: string[];
  rows: FlowRow[];
  next: string | null;
  coverage: Coverage;
}

/** The values of a group as one text. */
export function labelOf(group: Group): string {
  return Object.entries(group.key ?? {})
    .map(([column, value]) => (group.names?.[column] ? `${value ?? "–"} ${group.names[column]}` : String(value ?? "–")))
    .join(" · ");
}
