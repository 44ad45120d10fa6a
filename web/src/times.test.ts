import { expect, test } from "vitest";
import { HOUR, lengthOf, MINUTE, parseTime, rangeParameters, readRange, scaled, shifted, spanOf } from "./times";

const now = Date.UTC(2026, 10, 29, 14, 30, 20);

test("times are read as people type them", () => {
  expect(parseTime("now", now)).toBe(now);
  expect(parseTime("-2h", now)).toBe(now - 2 * HOUR);
  expect(parseTime("2026-11-28 14:00Z", now)).toBe(Date.UTC(2026, 10, 28, 14));
  expect(parseTime("2026-11-28T14:00 utc", now)).toBe(Date.UTC(2026, 10, 28, 14));
  expect(parseTime("yesterday 14:00Z", now)).toBe(Date.UTC(2026, 10, 28, 14));
  expect(parseTime("yesterday 14:00", now)).toBe(new Date(2026, 10, 28, 14).getTime());
  expect(parseTime("9:05", now)).toBe(new Date(2026, 10, 29, 9, 5).getTime());
  expect(parseTime("2026-11-28", now)).toBe(new Date(2026, 10, 28).getTime());
});

test("what is no time is refused", () => {
  for (const text of ["", "soon", "25:00", "2026-13-01", "-2 parsecs"]) expect(parseTime(text, now)).toBeUndefined();
});

test("a range that ends now has the minute that is running", () => {
  expect(spanOf({ last: "1h" }, now)).toEqual({ from: now + 40_000 - HOUR, to: now + 40_000 });
  // Also in its first moment.
  expect(spanOf({ last: "5m" }, now + 40_000)).toEqual({ from: now + 40_000 - 4 * MINUTE, to: now + 40_000 + MINUTE });
  expect(lengthOf("90m")).toBe(90 * MINUTE);
});

test("a range survives its URL", () => {
  const range = { from: Date.UTC(2026, 10, 28), to: Date.UTC(2026, 10, 29) };
  expect(readRange(new URLSearchParams(rangeParameters(range)), "1h")).toEqual(range);
  expect(readRange(new URLSearchParams("last=bad"), "1h")).toEqual({ last: "1h" });
  expect(readRange(new URLSearchParams("from=2026-11-29&to=2026-11-28"), "1h")).toEqual({ last: "1h" });
});

test("arrows move by the length, and zoom keeps the middle", () => {
  const span = { from: now - 2 * HOUR, to: now - HOUR };
  expect(shifted(span, -1)).toEqual({ from: now - 3 * HOUR, to: now - 2 * HOUR });
  expect(scaled({ from: 0, to: HOUR }, 0.5, now)).toEqual({ from: HOUR / 4, to: (HOUR * 3) / 4 });
  expect(scaled(span, 4, now).to).toBe(now + 40_000);
});
