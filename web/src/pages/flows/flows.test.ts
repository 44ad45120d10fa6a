import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { GroupsAnswer } from "./answers";
import { commandOf, csvOf } from "./flows";
import { chartOf } from "./groups";
import { hoursOf, rowsOf } from "./hours";
import { readText } from "./reading";
import { flowsUrl, narrowed, readView, requestOf, stepOf } from "./view";
import { graphOf } from "./ways";
import { ALL, completions, placeOf } from "./words";

// These URLs are in bookmarks and tickets: a new version must read them as this one does.
const URLS = [
  "/web/flows?last=1h",
  "/web/flows?filter=src+net+192.0.2.0/24+and+dst+port+443&exporter=198.51.100.1&last=7d&by=srcip,dstport&sum=flows&n=20",
  "/web/flows?filter=bytes+%3E+1k&from=2026-11-28T00:00Z&to=2026-11-29T00:00Z&by=srcas,dstas&show=ways",
  "/web/flows?last=5m&show=rows&cursor=1-2-3",
  "/web/flows?last=30d&sum=packets&show=hours&days=weekdays&tz=UTC",
];
const view = (url: string) => readView(new URL(url, "http://x").searchParams);

test("URLs keep their meaning", () => {
  for (const url of URLS) expect(flowsUrl(view(url))).toBe(url);
});

test("a view is one request, and one command", () => {
  const path = requestOf(view(URLS[1] ?? ""), 0);
  expect(path).toBe(
    "/flows/series?filter=src+net+192.0.2.0/24+and+dst+port+443&exporter=198.51.100.1&last=7d&by=srcip,dstport&sum=flows&n=20&every=30m&names=1",
  );
  expect(commandOf(path)).toBe(
    "netflow flows --exporter 198.51.100.1 --last 7d --by srcip,dstport --every 30m --sum flows -n 20 'src net 192.0.2.0/24 and dst port 443'",
  );
  expect(requestOf(view(URLS[3] ?? ""), 0)).toBe("/flows?last=5m&n=100&names=1&cursor=1-2-3");
});

test("a range has few enough steps to be drawn", () => {
  expect([60_000, 3_600_000, 86_400_000, 604_800_000].map(stepOf)).toEqual(["1s", "10s", "5m", "30m"]);
});

test("a click adds a condition to the filter", () => {
  expect(narrowed("", "srcip", "192.0.2.1")).toBe("srcip = 192.0.2.1");
  expect(narrowed("tcp", "srcip/24/48", "192.0.2.0/24")).toBe("tcp and srcip = 192.0.2.0/24");
  expect(narrowed("tcp or udp", "dstport", 443)).toBe("(tcp or udp) and dstport = 443");
});

test("words are completed where the cursor is", () => {
  expect(completions("src ne", 6)).toEqual({ start: 4, words: ["net", "nexthop", "nextas", "next"] });
  expect(completions("port 443 ", 9).words).toEqual([]);
});

test("all words of the grammar are completed, and no others", () => {
  // Made from the grammar: crates/filter.
  const document = readFileSync(new URL("../../../../docs/filter.md", import.meta.url), "utf8");
  const rows = (document.split("## Words")[1] ?? "").matchAll(/^\| (`.*?) \|/gm);
  const phrases = [...rows].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]*)`/g)].map(([, phrase = ""]) => phrase),
  );
  const words = new Set([...phrases.flatMap((phrase) => phrase.split(" ")), "and", "or", "not"]);
  expect(words.size).toBeGreaterThan(120);
  expect([...ALL].sort()).toEqual([...words].sort());
});

test("the place of an error is read from its message", () => {
  expect(placeOf('filter: column 22: expected a test, not "prot"')).toEqual({
    column: 22,
    text: 'expected a test, not "prot"',
  });
  expect(placeOf("by: unknown column")).toBeNull();
});

const sums = (bytes: number) => ({ records: 1, bytes, packets: 1, flows: 1 });
const answer: GroupsAnswer = {
  from: "2026-11-29T14:00:00Z",
  to: "2026-11-29T14:03:00Z",
  by: ["srcip", "dstport"],
  every: "1m",
  rows: [
    { key: { srcip: "192.0.2.1", dstport: 443 }, names: { dstport: "https" }, ...sums(600) },
    { key: { srcip: "192.0.2.1", dstport: 22 }, ...sums(300) },
  ],
  rest: { groups: 1, ...sums(60) },
  total: sums(960),
  steps: [{ start: "2026-11-29T14:01:00Z", rows: [sums(600), sums(300)], rest: sums(60) }],
  coverage: { since: null, reaches: null, missing: [], leftOut: [] },
};

test("steps without flows are zeros, and others are drawn", () => {
  const { layers, starts } = chartOf(answer, "bytes");
  expect(starts).toHaveLength(3);
  expect(layers.map(({ label, in: rates }) => [label, rates])).toEqual([
    ["192.0.2.1 · 443 https", [0, 80, 0]],
    ["192.0.2.1 · 22", [0, 40, 0]],
    ["all others", [0, 8, 0]],
  ]);
});

test("ways join what several groups share", () => {
  const { nodes, links } = graphOf(answer, "bytes");
  expect(nodes.map((node) => node.label)).toEqual(["192.0.2.1", "443 https", "22"]);
  expect(links.map((link) => link.value)).toEqual([600, 300]);
});

test("hours without flows are zeros, and hours of the week are means", () => {
  // Monday 22:30 until Tuesday 01:00, and what was sent on both.
  const found = {
    ...answer,
    from: "2026-11-30T22:30:07.5Z",
    to: "2026-12-01T00:59:30.25Z",
    by: ["received/15m"],
    rows: [
      { key: { "received/15m": "2026-11-30T22:45:00Z" }, ...sums(7) },
      { key: { "received/15m": "2026-12-01T00:00:00Z" }, ...sums(3) },
      { key: { "received/15m": "2026-12-01T00:15:00Z" }, ...sums(2) },
    ],
  };
  const begin = Date.parse(found.from);
  const days = hoursOf(found, begin, "bytes", "each", true);
  expect(days.map(({ row, hour, value }) => [row, hour, value])).toEqual([
    ["Mon 2026-11-30", 22, 7],
    ["Mon 2026-11-30", 23, 0],
    ["Tue 2026-12-01", 0, 5],
  ]);
  expect(days[2]?.range).toEqual({ from: Date.parse("2026-12-01T00:00Z"), to: Date.parse("2026-12-01T01:00Z") });
  const weeks = { ...found, from: "2026-11-23T22:30:00Z" };
  const weekdays = hoursOf(weeks, Date.parse(weeks.from), "bytes", "weekdays", true);
  expect(rowsOf(weekdays, "weekdays")[0]).toBe("Monday");
  expect(weekdays.find(({ row, hour }) => row === "Monday" && hour === 22)).toMatchObject({ value: 7, hours: 2 });
});

test("how far a question is, in hours", () => {
  const [from, to] = [Date.parse("2026-11-29T00:00Z"), Date.parse("2026-11-30T00:00Z")];
  const progress = { from: "2026-11-29T00:00:00Z", percent: 50 };
  expect(readText(progress, undefined, from, to)).toBe("12 of 24 hours are read");
  // What is shown was read, although the whole time is only being begun.
  expect(readText({ ...progress, percent: 0 }, "2026-11-29T20:00:00Z", from, to)).toBe("4 of 24 hours are read");
});

test("CSV has exact numbers, and no formulas", () => {
  expect(csvOf(answer)).toContain("192.0.2.1,443,1,600,1,1\r\n");
  const rows = { from: "", to: "", columns: ["x"], rows: [{ x: "=1+1" }], next: null, coverage: answer.coverage };
  expect(csvOf(rows)).toBe("x\r\n'=1+1\r\n");
});

test("sums beyond 2^53 are drawn, and exact as numbers", () => {
  const large = { records: 1, bytes: 9007199254740993n, packets: 1, flows: 9007199254740995n };
  const groups: GroupsAnswer = {
    ...answer,
    rows: [{ key: { srcip: "192.0.2.1", dstport: 443 }, ...large }],
    rest: { groups: 0, ...sums(0) },
    total: large,
    steps: [{ start: "2026-11-29T14:01:00Z", rows: [large], rest: sums(0) }],
  };
  expect(chartOf(groups, "bytes").layers[0]?.in[1]).toBeCloseTo((2 ** 53 * 8) / 60, 0);
  expect(graphOf(groups, "flows").links[0]?.value).toBe(9007199254740996);
  expect(csvOf(groups)).toContain("192.0.2.1,443,1,9007199254740993,1,9007199254740995\r\n");
  const quarter = (time: string) => ({ key: { "received/15m": time }, ...large });
  const hours = {
    ...answer,
    by: ["received/15m"],
    rows: ["14:00", "14:15"].map((at) => quarter(`2026-11-29T${at}:00Z`)),
  };
  expect(hoursOf(hours, Date.parse(answer.from), "bytes", "each", true)[0]?.value).toBe(18014398509481986n);
});
