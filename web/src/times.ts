// Times and ranges of time: what people type, what URLs have, and how they are written in the browser's zone and in UTC.

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The last minutes, hours or days until now, or from one time to another (milliseconds). */
export type Range = { last: string } | { from: number; to: number };
export interface Span {
  from: number;
  to: number;
}

/** The name of the browser's zone, such as Europe/Berlin. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
export const isUtc = (time = Date.now()): boolean => new Date(time).getTimezoneOffset() === 0;

const LENGTHS: Record<string, number> = { s: 1000, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY, y: 365 * DAY };

/** The length of `15m`, `1h`, `7d`. */
export function lengthOf(text: string): number | undefined {
  const parts = /^(\d{1,5})\s*([smhdwy])$/.exec(text.trim());
  const unit = parts?.[2] && LENGTHS[parts[2]];
  return parts && unit ? Number(parts[1]) * unit : undefined;
}

/** A range that ends now has the minute that is running, so that what has just arrived is in it. */
export function spanOf(range: Range, now = Date.now()): Span {
  if ("from" in range) return range;
  const to = minuteEnd(now);
  return { from: to - (lengthOf(range.last) ?? DAY), to };
}

/** When the minute that is running ends. */
const minuteEnd = (now: number): number => (Math.floor(now / MINUTE) + 1) * MINUTE;

/** The range in a URL. */
export function readRange(parameters: URLSearchParams, fallback: string): Range {
  const from = Date.parse(parameters.get("from") ?? "");
  const to = Date.parse(parameters.get("to") ?? "");
  if (from < to) return { from, to };
  const last = parameters.get("last") ?? fallback;
  return { last: lengthOf(last) ? last : fallback };
}

export function rangeParameters(range: Range): Record<string, string> {
  return "from" in range ? { from: minuteText(range.from), to: minuteText(range.to) } : { last: range.last };
}

/** A time as the REST interface reads it, to the minute, in UTC. */
export const minuteText = (time: number): string => `${new Date(time).toISOString().slice(0, 16)}Z`;

const two = (value: number): string => String(value).padStart(2, "0");

/** `2026-11-29 14:00` in the browser's zone. */
export function localText(time: number): string {
  const date = new Date(time);
  return `${dateOf(date)} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

const dateOf = (date: Date): string => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
export const clockText = (time: number): string => localText(time).slice(11);
export const utcText = (time: number): string => new Date(time).toISOString().slice(0, 16).replace("T", " ");

/** The time in the browser's zone and in UTC, each with its zone. */
export function bothTexts(time: number): string {
  if (isUtc(time)) return `${utcText(time)} UTC`;
  const sameDay = localText(time).slice(0, 10) === utcText(time).slice(0, 10);
  return `${localText(time)} ${zone} (${sameDay ? utcText(time).slice(11) : utcText(time)} UTC)`;
}

/** How long ago, or how long something takes: `12 s`, `3 min`, `2 h`. */
export function lengthText(ms: number): string {
  const size = Math.abs(ms);
  if (size < 999.5) return `${Math.round(ms)} ms`;
  if (size < MINUTE) return `${Math.round(ms / 1000)} s`;
  if (size < HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (size < 2 * DAY) return `${Math.round(ms / HOUR)} h`;
  return `${Math.round(ms / DAY)} d`;
}

/**
 * What people type: `now`, `-2h`, `14:00`, `yesterday 14:00`, `2026-11-29`, `2026-11-29 14:00`, each in the browser's zone; with
 * `Z` or `UTC` in UTC.
 */
export function parseTime(text: string, now = Date.now()): number | undefined {
  const words = text.trim().toLowerCase();
  if (words === "now") return now;
  const ago = /^-\s*(\d+\s*[smhdwy])$/.exec(words)?.[1];
  if (ago) return now - (lengthOf(ago) ?? 0);
  const utc = /\s*(z|utc)$/.test(words);
  const parts = /^(today|yesterday|\d{4}-\d{2}-\d{2})?(?:[t ]+|^)?(\d{1,2}:\d{2})?(?::\d{2})?$/.exec(
    words.replace(/\s*(z|utc)$/, ""),
  );
  if (!parts || (!parts[1] && !parts[2])) return undefined;
  return moment(dayOf(parts[1] ?? "today", now, utc), parts[2] ?? "00:00", utc);
}

function dayOf(word: string, now: number, utc: boolean): string {
  if (word !== "today" && word !== "yesterday") return word;
  const date = new Date(word === "today" ? now : now - DAY);
  return utc ? date.toISOString().slice(0, 10) : dateOf(date);
}

function moment(day: string, clock: string, utc: boolean): number | undefined {
  const time = Date.parse(`${day}T${clock.padStart(5, "0")}${utc ? "Z" : ""}`);
  return Number.isNaN(time) ? undefined : time;
}

/** The range that is as long, before or after. */
export function shifted(span: Span, lengths: number): Span {
  const length = span.to - span.from;
  return { from: span.from + lengths * length, to: span.to + lengths * length };
}

/** The range with the same middle and another length; it does not end after the minute that is running. */
export function scaled(span: Span, factor: number, now = Date.now()): Span {
  const length = Math.max(MINUTE * 5, Math.round(((span.to - span.from) * factor) / MINUTE) * MINUTE);
  const to = Math.min(minuteEnd(now), Math.round((span.from + span.to) / 2 / MINUTE) * MINUTE + length / 2);
  return { from: to - length, to };
}
