// The table of the Traffic page: each value with its share and its figures in both directions.
import { Swatch } from "../../parts/swatch";
import { COUNTERS, exact, perCount, percent, rateShort, rateText, rounded, UNIT_NAMES, type Unit } from "../../units";
import type { Layer, Traffic } from "./load";
import { type Figures, figures, ratesOf, sum } from "./statistics";
import { SPLITS } from "./view";

export interface Row {
  layer: Layer;
  in: Figures;
  out: Figures;
}

export function figuresOf(traffic: Traffic, layer: Layer): Row {
  const { unit } = traffic.view;
  const of = (counters: Layer["in"]) =>
    figures(
      ratesOf(counters, traffic.seconds, unit, layer.speed),
      traffic.seconds,
      traffic.ended,
      sum(counters)[COUNTERS[unit]],
      perCount(unit, layer.speed),
    );
  return { layer, in: of(layer.in), out: of(layer.out) };
}

const COLUMNS: { key: keyof Figures; text: string; title: string }[] = [
  { key: "average", text: "average", title: "The total divided by the time of which something is known" },
  { key: "min", text: "min", title: "The smallest rate of a step that has ended" },
  { key: "max", text: "max", title: "The largest rate of a step that has ended" },
  { key: "last", text: "last", title: "The rate of the last step that has ended" },
  { key: "percentile95", text: "95th", title: "The smallest rate that 95 of 100 steps that have ended do not exceed" },
];
const TOTALS: Record<Unit, string> = { bits: "bytes", packets: "packets", flows: "flows", percent: "bytes" };

interface TableProps {
  traffic: Traffic;
  rows: Row[];
  total: Row;
  onPick: (value: string) => void;
}

export function TrafficTable({ traffic, rows, total, onPick }: TableProps) {
  const { unit, by } = traffic.view;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys
    <section class="table-frame" aria-label="Figures of the chart" tabIndex={0}>
      <table class="figures">
        <thead>
          <tr>
            <th rowSpan={2} scope="col">
              {SPLITS[by].label}
            </th>
            <th rowSpan={2} scope="col">
              Share
            </th>
            <th colSpan={6} scope="colgroup" class="group">
              In, {UNIT_NAMES[unit]}
            </th>
            <th colSpan={6} scope="colgroup" class="group">
              Out, {UNIT_NAMES[unit]}
            </th>
          </tr>
          <tr>
            <Headings unit={unit} />
            <Headings unit={unit} />
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <TrafficRow
              key={row.layer.value ?? "others"}
              row={row}
              colour={index}
              total={total}
              isOnly={traffic.view.only !== null}
              onPick={onPick}
            />
          ))}
        </tbody>
        <tfoot>
          <tr data-row="total">
            <th scope="row">Total</th>
            <td />
            <Cells figures={total.in} direction="in" />
            <Cells figures={total.out} direction="out" />
          </tr>
        </tfoot>
      </table>
    </section>
  );
}

const Headings = ({ unit }: { unit: Unit }) => (
  <>
    <th scope="col" class="number group">
      {TOTALS[unit]}
    </th>
    {COLUMNS.map((column) => (
      <th key={column.key} scope="col" class="number" title={column.title}>
        {column.text}
      </th>
    ))}
  </>
);

interface RowProps {
  row: Row;
  colour: number;
  total: Row;
  isOnly: boolean;
  onPick: (value: string) => void;
}

function TrafficRow({ row, colour, total, isOnly, onPick }: RowProps) {
  const { value, name, speed } = row.layer;
  const both = (of: Row) => Number(of.in.total) + Number(of.out.total);
  const share = both(row) / both(total);
  return (
    <tr data-row={value ?? "others"}>
      <th scope="row">
        <Swatch colour={value === null ? -1 : colour} />{" "}
        {value === null ? (
          "all others"
        ) : (
          <button
            type="button"
            class="link"
            onClick={() => onPick(value)}
            title={isOnly ? "Show its flows" : "Show only this"}
          >
            {value}
          </button>
        )}
        {name && <bdi class="name">{name}</bdi>}
        {speed !== undefined && <span class="soft"> {rateText(speed, "bits")}</span>}
      </th>
      <td>
        <Share share={share} />
      </td>
      <Cells figures={row.in} direction="in" />
      <Cells figures={row.out} direction="out" />
    </tr>
  );
}

export const Share = ({ share }: { share: number }) => (
  <span class="share">
    <span class="share-bar">
      <span style={{ width: `${Math.min(100, Math.max(0, share * 100 || 0))}%` }} />
    </span>
    <span class="share-text">{percent(share)}</span>
  </span>
);

const Cells = ({ figures, direction }: { figures: Figures; direction: string }) => (
  <>
    <td class="number group" title={exact(figures.total)} data-total={direction} data-exact={String(figures.total)}>
      {rounded(figures.total).trimEnd()}
    </td>
    {COLUMNS.map(({ key }) => (
      <td
        key={key}
        class="number"
        title={exact(figures[key])}
        data-figure={`${direction}-${key}`}
        data-exact={String(figures[key])}
      >
        {rateShort(Number(figures[key]))}
      </td>
    ))}
  </>
);
