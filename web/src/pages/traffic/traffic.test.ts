import { expect, test } from "vitest";
import { filterOf, flowsOf } from "./flows-link";
import { figures, mergeSteps, percentile, ratesOf, sum } from "./statistics";
import { readView, trafficUrl } from "./view";

const counters = (bytes: number) => ({ bytes, pkts: bytes / 10, flows: bytes / 100 });

// These URLs are in bookmarks and tickets: a new version must read them as this one does.
const URLS = [
  "/web/traffic?prefix=192.0.2.0/24&last=24h",
  "/web/traffic?prefix=2001:db8::/32&sender=198.51.100.1&last=7d&by=remote-as&rows=20&unit=packets",
  "/web/traffic?prefix=192.0.2.0/24&sender=tag:edge&from=2026-11-28T00:00Z&to=2026-11-29T00:00Z&by=own-port&only=443&unit=flows",
  "/web/traffic?prefix=192.0.2.0/24&last=1h&by=proto&local=1&previous=1",
  "/web/traffic?prefix=192.0.2.0/24&sender=198.51.100.1&last=1h&by=outif&only=3&unit=percent",
];

test("URLs keep their meaning", () => {
  for (const url of URLS) expect(trafficUrl(readView(new URL(url, "http://x").searchParams))).toBe(url);
  expect(readView(new URL(URLS[2] ?? "", "http://x").searchParams)).toEqual({
    prefix: "192.0.2.0/24",
    sender: "tag:edge",
    range: { from: Date.UTC(2026, 10, 28), to: Date.UTC(2026, 10, 29) },
    by: "own-port",
    only: "443",
    rows: 10,
    unit: "flows",
    local: false,
    previous: false,
  });
});

test("what a URL cannot mean is its default", () => {
  const view = readView(new URLSearchParams("by=colour&unit=miles&rows=1000000&last=forever"));
  expect([view.by, view.unit, view.rows, view.range]).toEqual(["remote-ip", "bits", 10, { last: "24h" }]);
});

test("the 95th percentile is the nearest rank", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(percentile(values, 0.95)).toBe(95);
  expect(percentile([7], 0.95)).toBe(7);
  expect(percentile([], 0.95)).toBe(0);
});

test("gaps are neither zeros nor time", () => {
  const rates = ratesOf([counters(600), null, counters(0)], [60, 60, 30], "bits");
  expect(rates).toEqual([80, null, 0]);
  expect(figures(rates, [60, 60, 30], 3, 600, 8)).toEqual({
    total: 600,
    average: 4800 / 90,
    min: 0,
    max: 80,
    last: 0,
    percentile95: 80,
  });
});

test("a step that has not ended counts in the total, and is no extreme unless there is nothing else", () => {
  const rates = ratesOf([counters(600), counters(1200), counters(30)], [60, 60, 30], "bits");
  expect(figures(rates, [60, 60, 30], 2, 1830, 8)).toEqual({
    total: 1830,
    average: (1830 * 8) / 150,
    min: 80,
    max: 160,
    last: 160,
    percentile95: 160,
  });
  expect(figures([null, null, 8], [60, 60, 30], 2, 30, 8)).toMatchObject({ min: 8, max: 8, last: 8, percentile95: 8 });
});

test("sums beyond 2^53 have all digits", () => {
  const large = { bytes: 2 ** 53 - 1, pkts: 18446744073709551614n, flows: 1 };
  expect(sum([large, null, { bytes: 2, pkts: 1, flows: 2 }])).toEqual({
    bytes: 9007199254740993n,
    pkts: 18446744073709551615n,
    flows: 3,
  });
});

test("only interfaces are shown in percent, and only if their speed is known", () => {
  expect(readView(new URLSearchParams("by=inif&unit=percent")).unit).toBe("percent");
  expect(readView(new URLSearchParams("by=proto&unit=percent")).unit).toBe("bits");
  // 7.5 MB in a minute are 1 Mbit/s.
  expect(ratesOf([counters(7_500_000), null], [60, 60], "percent", 10_000_000)).toEqual([10, null]);
  expect(ratesOf([counters(7_500_000)], [60], "percent")).toEqual([null]);
});

test("steps are merged to their sums", () => {
  expect(mergeSteps([counters(100), null, counters(300), null, null], 2)).toEqual([counters(100), counters(300), null]);
});

test("the flows of a value are selected by direction", () => {
  const view = { ...readView(new URLSearchParams("by=remote-port&only=443")), prefix: "192.0.2.0/24" };
  expect(filterOf(view)).toBe("(dst net 192.0.2.0/24 and srcport = 443) or (src net 192.0.2.0/24 and dstport = 443)");
  expect(flowsOf({ ...view, sender: "2001:db8::1" })).toContain("exporter=2001:db8::1");
});
