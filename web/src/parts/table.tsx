// A table of a page: headings and rows of cells. Text from outside is isolated, so that its direction changes nothing else.
import type { ComponentChildren } from "preact";

interface Column<T> {
  text: string;
  number?: boolean;
  wrap?: boolean;
  title?: string;
  cell: (row: T) => ComponentChildren;
}

interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
}

export function Table<T>({ label, columns, rows }: TableProps<T>) {
  const look = (column: Column<T>) => (column.number ? "number" : column.wrap ? "wrap" : undefined);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys
    <section class="table-frame" aria-label={label} tabIndex={0}>
      <table class="figures compact">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.text} scope="col" class={look(column)} title={column.title}>
                {column.text}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have no other identity
            <tr key={index}>
              {columns.map((column) => (
                <td key={column.text} class={look(column)}>
                  <bdi>{column.cell(row)}</bdi>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
