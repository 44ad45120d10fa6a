import { expect, test } from "vitest";
import { type Bill, chartOf, csvOf } from "./billing";
import { billingPath, billingUrl, readView } from "./view";

const usage = { bytes: 7000, pkts: 70, flows: 7, averageBitsPerSecond: 1, percentile95BitsPerSecond: 186 };
const bill: Bill = {
  month: "2026-10",
  tz: "UTC",
  complete: true,
  in: usage,
  out: usage,
  samples: { from: "2026-10-01T00:00:00Z", to: "2026-11-01T00:00:00Z", expected: 2, count: 2, missing: [] },
  lost: null,
  method: "",
  remarks: [],
};
const read = (url: string) => readView(new URL(url, "http://x").searchParams);

test("URLs keep their meaning", () => {
  const urls = [
    "/web/billing?prefix=192.0.2.0/24&month=2026-10",
    "/web/billing?sender=tag:edge&prefix=192.0.2.0/24&month=2026-10&local=exclude&tz=Europe/Berlin",
  ];
  for (const url of urls) expect(billingUrl(read(url))).toBe(url);
});

test("without a month it is the current one", () => {
  expect(readView(new URLSearchParams("month=never"), new Date("2026-11-29T00:00:00Z")).month).toBe("2026-11");
});

test("one router is asked by its path, several by parameter", () => {
  expect(billingPath(read("/?sender=192.0.2.1&prefix=10.0.0.0/8&month=2026-10"))).toBe(
    "/billing/192.0.2.1?prefix=10.0.0.0/8&month=2026-10",
  );
  expect(billingPath(read("/?prefix=10.0.0.0/8&month=2026-10"))).toBe(
    "/billing?sender=all&prefix=10.0.0.0/8&month=2026-10",
  );
});

test("local traffic is drawn if it is billed", () => {
  const points = [
    {
      start: "2026-10-01T00:00:00Z",
      counters: { in: { bytes: 450, pkts: 1, flows: 1 }, "in:local": { bytes: 450, pkts: 1, flows: 1 } },
    },
  ];
  const view = read("/?prefix=10.0.0.0/8&month=2026-10");
  expect(chartOf(view, bill, { points, remarks: [] }).layers[0]?.in).toEqual([2]);
  expect(chartOf({ ...view, local: false }, bill, { points, remarks: [] }).layers[0]?.in).toEqual([1]);
  expect(csvOf(view, bill)).toContain("10.0.0.0/8,all,2026-10,UTC,in,7000,70,7,1,186,2,2\r\n");
});
