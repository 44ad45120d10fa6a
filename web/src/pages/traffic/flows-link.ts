// The flows of what the Traffic page shows, on the Flows page.
import { query } from "../../address";
import { rangeParameters } from "../../times";
import { SPLITS, type View } from "./view";

/** A filter that selects the flows of the prefix, and those of one value. */
export function filterOf(view: View, net = view.prefix ?? ""): string {
  const { only } = view;
  if (only === null) return `net ${net}`;
  const split = SPLITS[view.by];
  if (split.in === split.out) return `net ${net} and ${split.in} = ${only}`;
  return `(dst net ${net} and ${split.in} = ${only}) or (src net ${net} and ${split.out} = ${only})`;
}

export function flowsOf(view: View, net = view.prefix ?? ""): string {
  const exporter = /^[\d.:a-f]+$/i.test(view.sender) ? view.sender : null;
  return `/web/flows${query({ filter: filterOf(view, net), exporter, ...rangeParameters(view.range) })}`;
}
