// Files that the browser saves.

export function save(name: string, content: Blob | string, type = "text/plain"): void {
  const blob = typeof content === "string" ? new Blob([content], { type }) : content;
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Lines of comma-separated values (RFC 4180). */
export function csv(rows: (string | number | bigint | null | undefined)[][]): string {
  return rows.map((row) => `${row.map((cell) => csvCell(cell)).join(",")}\r\n`).join("");
}

/** Spreadsheets run a cell that begins like a formula: names from outside must not. */
function csvCell(cell: string | number | bigint | null | undefined): string {
  if (typeof cell !== "string") return String(cell ?? "");
  const harmless = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
