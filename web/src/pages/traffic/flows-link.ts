// The flows of what the Traffic page shows, on the Flows page.
import { query } from "../../address";
import { rangeParameters } from "../../times";
import { SPLITS, type View } from "./view";

/** A filter that selects the flows of the prefix, and those of one value. */
export function filterOf(view: View): string {
  const { prefix, only } = view;
  if (only === null) return `net ${prefix}`;
  const split = SPLITS[view.by];
  if (split.in === split.out) return `net ${prefix} and ${split.in} = ${only}`;
  return `(dst net ${prefix} and ${split.in} = ${only}) or (src net ${prefix} and ${split.out} = ${only})`;
}

export function flowsOf(view: View): string {
  const exporter = /^[\d.:a-f]+$/i.test(view.sender) ? view.sender : null;
  return `/web/flows${query({ filter: filterOf(view), exporter, ...rangeParameters(view.range) })}`;
}
