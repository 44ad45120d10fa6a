import { expect, test } from "vitest";
import type { Status } from "../../api/collector";
import { isPaused, stateOf } from "./reader-state";
// What a collector with all parts answered to GET /status.
import answered from "./status.example.json";

const [reader] = (answered as unknown as Status).readers;
if (!reader) throw new Error("there are no readers");

test("a reader reads, fails, skips or is paused", () => {
  expect(stateOf(reader)).toEqual({ text: "reads", isGood: true });
  expect(stateOf({ ...reader, failingSeconds: 90 })).toMatchObject({ isGood: false });
  expect(stateOf({ ...reader, failingSeconds: 90 }).text).toMatch(/^fails for \d+ min$/);
  expect(stateOf({ ...reader, skipping: true })).toEqual({ text: "skips flushes", isGood: true });
  const paused = { ...reader, paused: "2026-11-30T10:00:00Z", failingSeconds: 90 };
  expect(stateOf(paused).text).toMatch(/^paused since .*10:00/);
  expect(stateOf(paused).isGood).toBe(false);
  expect([isPaused(reader), isPaused(paused)]).toEqual([false, true]);
});
