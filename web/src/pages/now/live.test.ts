import { expect, test } from "vitest";
import { hourCsv } from "./files";
import { bitRates, changed, type LiveRouter, type Moment, sorted, sumOfRates } from "./live";
import { withoutRunning } from "./load";

const router = (address: string, flowsPerSecond: number | null = 1): Moment => ({
  address,
  tags: [],
  last: "2026-11-29T14:00:00Z",
  flowsPerSecond,
  bitsPerSecond: null,
  traffic: null,
  lostPercent: 0,
  sampling: [],
});

test("an event changes what it has, and leaves the rest", () => {
  const stranger = {
    address: "192.0.2.9",
    datagrams: 1,
    last: "2026-11-29T14:00:00Z",
    protocol: "ipfix",
    transport: "udp" as const,
  };
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

test("bit rates are those of the last flush, or else of the last minute", () => {
  const of = (bitsPerSecond: number) => ({ bitsPerSecond, packetsPerSecond: 0, flowsPerSecond: 0 });
  const minute = { ...router("minute"), traffic: { in: of(10), out: of(20), local: of(30) } };
  const both = { ...minute, bitsPerSecond: { in: 1, out: 0, local: 3 } };
  expect(bitRates(minute)).toEqual({ in: 10, out: 20, local: 30 });
  expect(bitRates(both)).toEqual({ in: 1, out: 0, local: 3 });
  expect(bitRates(router("silent"))).toBeNull();
  expect(sumOfRates([minute, both, router("silent")])).toEqual({ in: 11, out: 20, local: 33 });
  expect(sumOfRates([router("silent")])).toBeNull();
});

test("a spark is of whole minutes, and in the first one of what there is", () => {
  expect(withoutRunning([1, 2, 3])).toEqual([1, 2]);
  expect(withoutRunning([0, 0, 3])).toEqual([0, 0, 3]);
});

test("the last hour as CSV has all digits", () => {
  const counters = (bytes: number | bigint) => ({ bytes, pkts: 2, flows: 1 });
  const network = {
    prefix: "192.0.2.0/24",
    name: "=office",
    in: [counters(9007199254740993n), null],
    out: [null, counters(5)],
  };
  const starts = [Date.UTC(2026, 10, 29, 14), Date.UTC(2026, 10, 29, 14, 1)];
  const hour = { span: { from: 0, to: 1 }, starts, seconds: [60, 30], networks: [network], more: 0, requests: [] };
  expect(hourCsv(hour).split("\r\n")).toEqual([
    "start_utc,prefix,name,in_bytes,in_pkts,in_flows,out_bytes,out_pkts,out_flows",
    "2026-11-29T14:00:00.000Z,192.0.2.0/24,'=office,9007199254740993,2,1,,,",
    "2026-11-29T14:01:00.000Z,192.0.2.0/24,'=office,,,,5,2,1",
    "",
  ]);
});
