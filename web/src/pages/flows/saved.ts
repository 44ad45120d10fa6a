// Filters that the user has saved, in this browser. Elsewhere, a URL has the filter.
import { signal } from "@preact/signals";

const KEY = "netflow-filters";
const MOST = 100;

/** The saved filters, the last one first. */
export const saved = signal<string[]>(read());

function read(): string[] {
  try {
    const list: unknown = JSON.parse(globalThis.localStorage?.getItem(KEY) ?? "[]");
    return Array.isArray(list) ? list.filter((filter) => typeof filter === "string").slice(0, MOST) : [];
  } catch {
    return [];
  }
}

export function keep(filter: string): void {
  write([filter, ...saved.value.filter((other) => other !== filter)].slice(0, MOST));
}

export function forget(filter: string): void {
  write(saved.value.filter((other) => other !== filter));
}

function write(filters: string[]): void {
  saved.value = filters;
  try {
    localStorage.setItem(KEY, JSON.stringify(filters));
  } catch {
    // A browser that stores nothing has them until the page is closed.
  }
}
