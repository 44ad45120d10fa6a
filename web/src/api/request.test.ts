import { afterEach, expect, test, vi } from "vitest";
import { flat } from "../pages/routers/details";
import { lostShare } from "./collector";
import { get } from "./request";

afterEach(() => vi.unstubAllGlobals());

test("whole numbers beyond 2^53 are exact in every answer", async () => {
  vi.stubGlobal("fetch", async () => new Response('{"flows":{"matched":9007199254740993},"datagrams":7}'));
  const counters = await get<{ flows: { matched: bigint }; datagrams: number }>("/status");
  expect(counters).toEqual({ flows: { matched: 9007199254740993n }, datagrams: 7 });
  expect(flat(counters)).toEqual([
    ["flows: matched", 9007199254740993n],
    ["datagrams", 7],
  ]);
});

test("shares of them are computed", () => {
  const unit = { unit: "records", duplicates: 0, late: 0, restarts: 0 };
  expect(lostShare([{ ...unit, received: 3n * 2n ** 60n, lost: 2n ** 60n }])).toBe(0.25);
  expect(lostShare([{ ...unit, received: 3, lost: 1n }])).toBe(0.25);
  expect(lostShare([{ ...unit, received: 0, lost: 0 }])).toBe(0);
});
