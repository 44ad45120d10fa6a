import { expect, test } from "vitest";
import type { Finding, Status } from "../../api/collector";
import { checksOf, type Loaded } from "./checks";
// What a collector with all parts answered to GET /status.
import answered from "./status.example.json";

const STATUS = answered as unknown as Status;
const loaded = (changes: Partial<Status> = {}, more: Partial<Loaded> = {}): Loaded => ({
  status: { ...STATUS, ...changes },
  findings: [],
  notReady: null,
  ...more,
});
const gauges = (changed: Status["gauges"]) => ({ gauges: { ...STATUS.gauges, ...changed } });
/** The items that are not good. */
const bad = (loaded: Loaded) => checksOf(loaded).filter(({ problems }) => problems.length > 0);
const finding = (name: string): Finding => ({ finding: name, router: null, what: `${name}!`, evidence: [], run: [] });

test("a collector with nothing wrong is good in every item", () => {
  expect(bad(loaded())).toEqual([]);
  expect(checksOf(loaded()).map(({ name }) => name)).toEqual([
    "Readiness",
    "Ledgers",
    "Store",
    "Spool",
    "Journal",
    "Log and readers",
    "Archive",
    "Limits",
    "Findings of doctor",
  ]);
});

test("ledgers that do not balance, or did not, or were not checked", () => {
  const [first, ...others] = STATUS.ledgers;
  if (!first) throw new Error("there are no ledgers");
  for (const wrong of [{ difference: -1 }, { violations: 1 }, { difference: 9007199254740993n }]) {
    const found = bad(loaded({ ledgers: [{ ...first, ...wrong }, ...others] }));
    expect(found).toEqual([{ name: "Ledgers", problems: [`the ledger of ${first.name} does not balance`] }]);
  }
  expect(bad(loaded({ ledgersChecked: null })).map(({ name }) => name)).toEqual(["Ledgers"]);
});

test("a store, a spool and a journal in trouble", () => {
  const cases: [string, Loaded][] = [
    ["Store", loaded({ store: { reachable: false, milliseconds: 0 } })],
    ["Spool", loaded(gauges({ spool_flushes: { value: 7 } }))],
    ["Spool", loaded(gauges({ spool_full: { value: 1 } }))],
    ["Spool", loaded(gauges({ spool_bytes: { value: 900, limit: 1000 } }))],
    ["Journal", loaded(gauges({ journal_failing: { value: 1 } }))],
    ["Journal", loaded(gauges({ flush_failing_seconds: { value: 0.5 } }))],
    ["Journal", loaded(gauges({ journal_bytes: { value: 801, limit: 1000 } }))],
  ];
  for (const [name, answer] of cases) expect(bad(answer).map((check) => check.name)).toEqual([name]);
  // The flush that is passing through.
  expect(bad(loaded(gauges({ spool_flushes: { value: 1 } })))).toEqual([]);
});

test("forwarding has an item only if something is forwarded", () => {
  const drops = { queueFull: 1, failed: 0, otherFamily: 0 };
  const forward = [{ address: "192.0.2.9:2055", sent: 9, dropped: drops, waitingBytes: 0 }];
  const answer = { ...loaded({ forward }), findings: [finding("forward_drops")] };
  expect(bad(answer)).toEqual([{ name: "Forwarding", problems: ["forward_drops!"] }]);
  expect(bad(loaded({ forward }))).toEqual([]);
});

test("a log that is nearly full, and readers that lag or lack records", () => {
  const [reader] = STATUS.readers;
  if (!reader) throw new Error("there are no readers");
  const problems = (answer: Loaded) => bad(answer).find(({ name }) => name === "Log and readers")?.problems;
  expect(problems(loaded({ readers: [{ ...reader, missingRecords: 3 }] }))).toEqual([
    "the reader archive misses records",
  ]);
  expect(problems(loaded(gauges({ log_bytes: { value: 3.5e9, limit: 4e9 } })))).toEqual([
    "log bytes: 3.50 GB of 4.00 GB, 87.5 %",
  ]);
  for (const name of ["reader_paused", "reader_lags", "reader_lost", "reader_incomplete"]) {
    expect(problems(loaded({}, { findings: [finding(name)] }))).toEqual([`${name}!`]);
  }
});

test("an archive that fails, has no room, or lacks flows; a full one deletes, which is no problem", () => {
  for (const gauge of ["archive_failing_seconds", "archive_lacking_bytes", "archive_losses"]) {
    expect(bad(loaded(gauges({ [gauge]: { value: 2 } }))).map(({ name }) => name)).toEqual(["Archive"]);
  }
  expect(bad(loaded(gauges({ archive_bytes: { value: 10, limit: 10 } })))).toEqual([]);
});

test("memory bounds that are nearly reached, and what the collector says itself", () => {
  for (const gauge of ["names", "pending_bytes", "unknown_senders", "taps"]) {
    expect(bad(loaded(gauges({ [gauge]: { value: 8, limit: 10 } }))).map(({ name }) => name)).toEqual(["Limits"]);
  }
  expect(bad(loaded({}, { findings: [finding("accept_limit")] })).map(({ name }) => name)).toEqual(["Limits"]);
  expect(bad(loaded({}, { findings: [finding("kernel_drops")] }))).toEqual([
    { name: "Findings of doctor", problems: ["kernel_drops!"] },
  ]);
  expect(bad(loaded({}, { notReady: "the thread flusher is stalled" })).map(({ name }) => name)).toEqual(["Readiness"]);
});
