// The numbers of the Traffic page outside it: as files, as requests and as commands.
import type { RefObject } from "preact";
import { stringifyExact } from "../../api/exact-json";
import { ChartFiles } from "../../parts/chart-files";
import { csv, save } from "../../parts/download";
import { type Same, word } from "../../parts/elsewhere";
import { minuteText } from "../../times";
import { COUNTERS, type Unit } from "../../units";
import type { Traffic } from "./load";
import type { Row } from "./table";
import { SPLITS } from "./view";

/** The requests of the page, each with the command that sends it. */
export function sameNumbers({ requests, subject }: Traffic): Same[] {
  return requests.map((request) => {
    const [path = "", parameters = ""] = request.split("?");
    const asked = new URLSearchParams(parameters);
    const options = ["field", "values", "direction", "name", "step", "by"].flatMap((name) => {
      const value = asked.get(name);
      return value ? [`--${name} ${word(value)}`] : [];
    });
    const rows = asked.get("n");
    const command = [
      `netflow ${path.split("/")[1]} ${word(subject.sender)} ${subject.prefix}`,
      ...options,
      ...(rows ? [`-n ${rows}`] : []),
      `--from ${minuteText(subject.from)} --to ${minuteText(subject.to)}`,
    ];
    return { request, command: command.join(" ") };
  });
}

interface DownloadsProps {
  traffic: Traffic;
  rows: Row[];
  total: Row;
  chart: RefObject<HTMLElement | null>;
}

export function Downloads({ traffic, rows, total, chart }: DownloadsProps) {
  const name = `traffic-${(traffic.view.prefix ?? "").replaceAll(/[/:]/g, "_")}`;
  const json = () => save(`${name}.json`, stringifyExact(traffic, 1), "application/json");
  return (
    <p class="actions">
      <button type="button" onClick={() => save(`${name}.csv`, tableCsv(traffic, rows, total), "text/csv")}>
        CSV of the table
      </button>
      <button type="button" onClick={() => save(`${name}-steps.csv`, stepsCsv(traffic), "text/csv")}>
        CSV of the chart
      </button>
      <button type="button" onClick={json}>
        JSON
      </button>
      <ChartFiles name={name} within={chart} />
    </p>
  );
}

const RATES: Record<Unit, string> = {
  bits: "bits_per_second",
  packets: "packets_per_second",
  flows: "flows_per_second",
  percent: "percent_of_speed",
};

export function tableCsv(traffic: Traffic, rows: Row[], total: Row): string {
  const { view } = traffic;
  const columns = ["total", "average", "min", "max", "last", "percentile95"] as const;
  const head = ["in", "out"].flatMap((way) =>
    columns.map((column) => `${way}_${column === "total" ? COUNTERS[view.unit] : `${column}_${RATES[view.unit]}`}`),
  );
  const line = (label: string, name: string | undefined, row: Row) => [
    label,
    name,
    ...[row.in, row.out].flatMap((figures) => columns.map((column) => figures[column])),
  ];
  return csv([
    [SPLITS[view.by].label, "name", ...head],
    ...rows.map((row) => line(row.layer.value ?? "all others", row.layer.name, row)),
    line("total", undefined, total),
  ]);
}

export function stepsCsv({ starts, layers, total }: Traffic): string {
  const all = [
    ...layers.map((layer) => ({ ...layer, label: layer.value ?? "all others" })),
    { ...total, label: "total" },
  ];
  const lines = starts.flatMap((start, step) =>
    all.map((layer) => {
      const [inward, outward] = [layer.in[step], layer.out[step]];
      const time = new Date(start).toISOString();
      return [time, layer.label, ...[inward, outward].flatMap((sums) => [sums?.bytes, sums?.pkts, sums?.flows])];
    }),
  );
  const head = ["in", "out"].flatMap((way) => [`${way}_bytes`, `${way}_pkts`, `${way}_flows`]);
  return csv([["start_utc", "value", ...head], ...lines]);
}
