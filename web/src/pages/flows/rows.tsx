// Flows one by one, newest first, in pages.
import { Table } from "../../parts/table";
import { localText, zone } from "../../times";
import { exact } from "../../units";
import type { FlowRow, RowsAnswer } from "./answers";

const TIMES = new Set(["received", "exported", "start", "end"]);
const SUMS = new Set(["bytes", "packets", "flows", "revbytes", "revpackets"]);
const TEXTS = new Set(["srcip", "dstip", "exporter", "nexthop"]);

interface RowsProps {
  answer: RowsAnswer;
  /** Whether only the newest part of the time was read. */
  isPart: boolean;
  onNext: (cursor: string) => void;
}

export function Rows({ answer, isPart, onNext }: RowsProps) {
  const columns = answer.columns.filter((column) =>
    answer.rows.some((row) => row[column] !== null && row[column] !== 0),
  );
  if (answer.rows.length === 0) return <p class="soft">There are no such flows in this time.</p>;
  return (
    <>
      <p class="soft">Times are in {zone}. Columns without a value are left out.</p>
      <Table
        label="Flows"
        rows={answer.rows}
        columns={columns.map((column) => ({
          text: column,
          number: !TIMES.has(column) && !TEXTS.has(column),
          cell: (row: FlowRow) => cellOf(row, column),
        }))}
      />
      {answer.next && !isPart && (
        <p class="actions">
          <button type="button" onClick={() => answer.next && onNext(answer.next)}>
            Older flows
          </button>
        </p>
      )}
    </>
  );
}

function cellOf(row: FlowRow, column: string): string {
  const value = row[column];
  if (value === null || value === undefined || typeof value === "object") return "–";
  if (TIMES.has(column)) return timeText(String(value));
  if (SUMS.has(column)) return typeof value === "string" ? value : exact(value);
  const { names } = row;
  const name = typeof names === "object" && names !== null ? names[column] : undefined;
  return name ? `${value} ${name}` : String(value);
}

function timeText(text: string): string {
  const time = Date.parse(text);
  const fraction = new Date(time).toISOString().slice(16, 23);
  return localText(time) + fraction;
}
