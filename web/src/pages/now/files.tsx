// The numbers of the Now page outside it: as files, as requests and as commands.
import type { RefObject } from "preact";
import { stringifyExact } from "../../api/exact-json";
import { ChartFiles } from "../../parts/chart-files";
import { csv, save } from "../../parts/download";
import type { Same } from "../../parts/elsewhere";
import { minuteText } from "../../times";
import type { Hour } from "./load";

export function NowFiles({ hour, chart }: { hour: Hour; chart: RefObject<HTMLElement | null> }) {
  return (
    <p class="actions">
      <button type="button" onClick={() => save("now.csv", hourCsv(hour), "text/csv")}>
        CSV
      </button>
      <button type="button" onClick={() => save("now.json", stringifyExact(hour, 1), "application/json")}>
        JSON
      </button>
      <ChartFiles name="now" within={chart} />
    </p>
  );
}

/** A line for each minute of each network; empty cells are minutes of which nothing is known. */
export function hourCsv({ starts, networks }: Hour): string {
  const lines = starts.flatMap((start, minute) =>
    networks.map(({ prefix, name, ...network }) => {
      const sums = [network.in[minute], network.out[minute]];
      return [
        new Date(start).toISOString(),
        prefix,
        name,
        ...sums.flatMap((sums) => [sums?.bytes, sums?.pkts, sums?.flows]),
      ];
    }),
  );
  const head = ["in", "out"].flatMap((way) => [`${way}_bytes`, `${way}_pkts`, `${way}_flows`]);
  return csv([["start_utc", "prefix", "name", ...head], ...lines]);
}

/** The requests of the page, each with the command that sends it. */
export const sameNumbers = ({ requests, networks, span }: Hour): Same[] =>
  requests.map((request, index) => ({
    request,
    command: `netflow series all ${networks[index]?.prefix} --step minute --from ${minuteText(span.from)} --to ${minuteText(span.to)}`,
  }));
