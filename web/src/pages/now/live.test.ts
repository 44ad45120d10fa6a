import { expect, test } from "vitest";
import { changed, type LiveRouter, type Moment, sorted } from "./live";

const router = (address: string, flowsPerSecond: number | null = 1): Moment => ({
  address,
  tags: [],
  last: "2026-11-29T14:00:00Z",
  flowsPerSecond,
  traffic: null,
  lostPercent: 0,
  sampling: [],
});

test("an event changes what it has, and leaves the rest", () => {
  const stranger = { address: "192.0.2.9", datagrams: 1, last: "2026-11-29T14:00:00Z", protocol: "ipfix" };
  const first = changed(undefined, {
    senders: [router("192.0.2.1"), router("192.0.2.2")],
    removed: [],
    unknown: [stranger],
  });
  const second = changed(first, { senders: [router("192.0.2.2", 7)], removed: ["192.0.2.1"] });
  expect([...second.routers.values()]).toEqual([router("192.0.2.2", 7)]);
  expect(second.unknown).toEqual([stranger]);
  expect(second.findings).toEqual([]);
  expect(first.routers.size).toBe(2);
});

test("routers with findings come first, then silent ones, then the busiest", () => {
  const finding = { finding: "clock_off", router: "a", what: "", evidence: [], run: [] };
  const all: LiveRouter[] = [
    { ...router("idle", 0), findings: [] },
    { ...router("busy", 9), findings: [] },
    { ...router("silent", null), last: null, findings: [] },
    { ...router("wrong", 0), findings: [finding] },
  ];
  expect(sorted(all).map(({ address }) => address)).toEqual(["wrong", "silent", "busy", "idle"]);
});
