// What the chart of the Traffic page draws.
import type { ChartLine, Mirrored } from "../../parts/chart-options";
import { UNIT_NAMES } from "../../units";
import type { Traffic } from "./load";
import { ratesOf } from "./statistics";
import type { Row } from "./table";

export function charted(traffic: Traffic, total: Row): Mirrored {
  const { view, seconds, starts } = traffic;
  const rates = (counters: Traffic["total"]["in"], speed?: number) => ratesOf(counters, seconds, view.unit, speed);
  // Percentages of different speeds do not add up.
  const unstacked = view.unit === "percent";
  const layers = unstacked ? traffic.layers.filter((layer) => layer.speed !== undefined) : traffic.layers;
  return {
    starts,
    end: (starts.at(-1) ?? 0) + (seconds.at(-1) ?? 60) * 1000,
    unit: UNIT_NAMES[view.unit],
    unstacked,
    layers: layers.map((layer) => ({
      label: layer.value === null ? "all others" : layer.name ? `${layer.value} ${layer.name}` : layer.value,
      colour: layer.value === null ? -1 : traffic.layers.indexOf(layer),
      in: rates(layer.in, layer.speed),
      out: rates(layer.out, layer.speed),
    })),
    lines: unstacked ? [] : [percentileLine(traffic, total), ...previousLine(traffic)],
  };
}

const percentileLine = ({ starts }: Traffic, total: Row): ChartLine => ({
  label: "95th percentile",
  kind: "percentile",
  in: starts.map(() => total.in.percentile95),
  out: starts.map(() => total.out.percentile95),
});

function previousLine({ previous, seconds, starts, view }: Traffic): ChartLine[] {
  if (!previous) return [];
  const rates = (counters: typeof previous.in) =>
    starts.map((_, step) => ratesOf([counters[step] ?? null], [seconds[0] ?? 60], view.unit)[0] ?? null);
  return [{ label: "previous period", kind: "previous", in: rates(previous.in), out: rates(previous.out) }];
}
