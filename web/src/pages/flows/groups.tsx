// Groups of flows over time: a chart and a table of the largest.
import { useMemo } from "preact/hooks";
import { stringifyExact } from "../../api/exact-json";
import { Chart } from "../../parts/chart";
import type { Mirrored } from "../../parts/chart-options";
import { Swatch } from "../../parts/swatch";
import { lengthOf, MINUTE, type Range } from "../../times";
import { type Count, exact, percent, rateText, rounded, shareOf, type Unit } from "../../units";
import { Share } from "../traffic/table";
import { type Group, type GroupsAnswer, labelOf, type Sums, type Value } from "./answers";
import type { Sum } from "./view";

const UNIT_OF: Record<Sum, Unit> = { bytes: "bits", packets: "packets", flows: "flows" };
const UNIT_TEXT: Record<Sum, string> = { bytes: "bit/s", packets: "packets/s", flows: "flows/s" };

interface GroupsProps {
  answer: GroupsAnswer;
  /** When the whole time begins, of which the answer may be a part. */
  from: number;
  sum: Sum;
  onPick: (column: string, value: string | Count) => void;
  onZoom: (range: Range) => void;
}

export function Groups({ answer, from, sum, onPick, onZoom }: GroupsProps) {
  const chart = useMemo(() => chartOf(answer, sum, from), [answer, sum, from]);
  const seconds = (Date.parse(answer.to) - Date.parse(answer.from)) / 1000;
  return (
    <>
      <section class="panel" aria-label="Chart">
        <p class="soft">
          {exact(answer.total.flows)} flows, {rounded(answer.total.bytes)}B, {rounded(answer.total.packets).trimEnd()}{" "}
          packets · mean rates of {answer.every}
        </p>
        <Chart {...chart} height={300} label={`Flows by ${answer.by.join(", ")} over time`} onZoom={onZoom} />
      </section>
      <GroupTable answer={answer} sum={sum} seconds={seconds} onPick={onPick} />
    </>
  );
}

/** All steps of the range: those without flows are left out in the answer. */
export function chartOf(answer: GroupsAnswer, sum: Sum, begin = Date.parse(answer.from)): Mirrored {
  const length = lengthOf(answer.every) ?? MINUTE;
  const [from, end] = [Math.floor(begin / length) * length, Date.parse(answer.to)];
  const starts = Array.from(
    { length: Math.max(1, Math.ceil((end - from) / length)) },
    (_, step) => from + step * length,
  );
  const known = new Map(answer.steps.map((step) => [Date.parse(step.start), step]));
  const rate = (sums: Sums | undefined) => (Number(sums?.[sum] ?? 0) * (sum === "bytes" ? 8 : 1) * 1000) / length;
  const layers = answer.rows.map((group, index) => ({
    label: labelOf(group) || "all flows",
    colour: index,
    in: starts.map((start) => rate(known.get(start)?.rows[index])),
    out: [],
  }));
  const rest = { label: "all others", colour: -1, in: starts.map((start) => rate(known.get(start)?.rest)), out: [] };
  const all = answer.rest.groups > 0 ? [...layers, rest] : layers;
  return { starts, end: from + starts.length * length, layers: all, lines: [], unit: UNIT_TEXT[sum], single: true };
}

interface TableProps {
  answer: GroupsAnswer;
  sum: Sum;
  seconds: number;
  onPick: GroupsProps["onPick"];
}

function GroupTable({ answer, sum, seconds, onPick }: TableProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys
    <section class="table-frame" aria-label="Groups" tabIndex={0}>
      <table class="figures">
        <thead>
          <tr>
            {answer.by.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
            <th scope="col">Share</th>
            <th scope="col" class="number">
              average
            </th>
            <th scope="col" class="number">
              bytes
            </th>
            <th scope="col" class="number">
              packets
            </th>
            <th scope="col" class="number">
              flows
            </th>
          </tr>
        </thead>
        <tbody>
          {answer.rows.map((group, index) => (
            <tr key={stringifyExact(group.key)} data-row={stringifyExact(group.key)}>
              {answer.by.map((column, position) => (
                <td key={column}>
                  {position === 0 && <Swatch colour={index} />} <Cell group={group} column={column} onPick={onPick} />
                </td>
              ))}
              <SumCells sums={group} answer={answer} sum={sum} seconds={seconds} />
            </tr>
          ))}
          {answer.rest.groups > 0 && (
            <tr data-row="others">
              <td colSpan={answer.by.length}>
                <Swatch colour={-1} /> {exact(answer.rest.groups)} other groups
              </td>
              <SumCells sums={answer.rest} answer={answer} sum={sum} seconds={seconds} />
            </tr>
          )}
        </tbody>
        <tfoot>
          <tr data-row="total">
            <th scope="row" colSpan={answer.by.length}>
              Total
            </th>
            <SumCells sums={answer.total} answer={answer} sum={sum} seconds={seconds} />
          </tr>
        </tfoot>
      </table>
    </section>
  );
}

interface CellProps {
  group: Group;
  column: string;
  onPick: GroupsProps["onPick"];
}

function Cell({ group, column, onPick }: CellProps) {
  const value: Value = group.key?.[column] ?? null;
  const name = group.names?.[column];
  // Times are chosen with the range.
  const isTime = column.startsWith("received") || column.startsWith("start") || column.startsWith("end");
  if (value === null || isTime) return <bdi>{value ?? "–"}</bdi>;
  return (
    <>
      <button type="button" class="link" title="Only these flows" onClick={() => onPick(column, value)}>
        {value}
      </button>
      {name && <bdi class="name">{name}</bdi>}
    </>
  );
}

interface SumProps {
  sums: Sums;
  answer: GroupsAnswer;
  sum: Sum;
  seconds: number;
}

const SumCells = ({ sums, answer, sum, seconds }: SumProps) => (
  <>
    <td title={percent(shareOf(sums[sum], answer.total[sum]))}>
      <Share share={shareOf(sums[sum], answer.total[sum])} />
    </td>
    <td class="number">{rateText((Number(sums[sum]) * (sum === "bytes" ? 8 : 1)) / seconds, UNIT_OF[sum])}</td>
    {(["bytes", "packets", "flows"] as const).map((key) => (
      <td key={key} class="number" title={exact(sums[key])} data-sum={key} data-exact={String(sums[key])}>
        {rounded(sums[key]).trimEnd()}
      </td>
    ))}
  </>
);
