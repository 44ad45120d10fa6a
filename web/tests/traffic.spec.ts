// What the Traffic page can do beside its totals: figures, times, several prefixes, units, and counters of many digits.
import type { Page } from "@playwright/test";
import { PREFIX, until } from "./support/collector";
import { sendDay, sendFlows } from "./support/day";
import { expect, rangeOf, test } from "./support/test";

const OTHER = "198.51.100.0/24";
const MINUTE = 60_000;
interface Answer {
  points: { counters: { in: { bytes: number }; out: { bytes: number } } | null }[];
}

const text = (time: number) => `${new Date(time).toISOString().slice(0, 16)}Z`;

async function figure(page: Page, row: string, name: string): Promise<number> {
  const cell = page.locator(`[data-row="${row}"] [data-figure="${name}"]`);
  return Number(await cell.getAttribute("data-exact"));
}

async function total(page: Page, direction: "in" | "out"): Promise<string | null> {
  await expect(page.locator(".answer[aria-busy=false]")).toBeVisible();
  return page.locator(`[data-row="total"] [data-total="${direction}"]`).getAttribute("data-exact");
}

const range = (page: Page) => {
  const { searchParams } = new URL(page.url());
  return { from: Date.parse(searchParams.get("from") ?? ""), to: Date.parse(searchParams.get("to") ?? "") };
};

test.describe("of some hours", () => {
  let from = 0;
  let to = 0;
  let url = "";
  test.beforeEach(async ({ collector }) => {
    if (url === "") {
      await sendDay("127.0.0.2", collector.udp, [198, 51, 100], 300);
      to = Math.floor(Date.now() / MINUTE) * MINUTE - 30 * MINUTE;
      from = to - 240 * MINUTE;
      url = `/web/traffic?prefix=${OTHER}&from=${text(from)}&to=${text(to)}`;
      await until(async () => {
        const path = `/series/127.0.0.2?prefix=${OTHER}&step=minute&from=${text(from)}&to=${text(to)}`;
        return (await collector.get<Answer>(path)).points.every(({ counters }) => counters !== null);
      });
    }
  });

  test("figures are those of the minutes of the REST interface", async ({ user, collector }) => {
    await user.goto(`${collector.page}${url}&by=proto`);
    await expect(user.locator('[data-row="total"]')).toBeVisible();
    for (const [row, name] of [
      ["total", "all"],
      ["17", "proto:17"],
    ] as const) {
      const path = `/series/127.0.0.2?prefix=${OTHER}&name=${name}&step=minute&from=${text(from)}&to=${text(to)}`;
      const { points } = await collector.get<Answer>(path);
      for (const direction of ["in", "out"] as const) {
        const rates = points.map(({ counters }) => ((counters?.[direction].bytes ?? 0) * 8) / 60);
        const sorted = [...rates].sort((a, b) => a - b);
        const expected = {
          min: sorted[0],
          max: sorted.at(-1),
          last: rates.at(-1),
          percentile95: sorted[Math.ceil(sorted.length * 0.95) - 1],
          average: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
        };
        expect(sorted.at(-1)).toBeGreaterThan(0);
        for (const [key, value] of Object.entries(expected)) {
          expect(await figure(user, row, `${direction}-${key}`), `${row} ${direction} ${key}`).toBeCloseTo(
            value ?? -1,
            3,
          );
        }
      }
    }
  });

  test("the previous period is the same time before", async ({ user, collector }) => {
    const half = `prefix=${OTHER}&from=${text(from + 120 * MINUTE)}&to=${text(to)}`;
    await user.goto(`${collector.page}/web/traffic?${half}&by=proto`);
    await user.getByLabel("Previous period").check();
    await expect(user).toHaveURL(/previous=1/);
    await expect(user.getByText("dotted: the previous period")).toBeVisible();
    await expect(user.locator(".answer[aria-busy=false]")).toBeVisible();
    const started = user.waitForEvent("download");
    await user.getByRole("button", { name: "JSON" }).click();
    let json = "";
    for await (const part of await (await started).createReadStream()) json += part;
    const { previous } = JSON.parse(json) as { previous: { in: ({ bytes: number } | null)[] } };
    const path = `/series/127.0.0.2?prefix=${OTHER}&step=minute&from=${text(from)}&to=${text(from + 120 * MINUTE)}`;
    const { points } = await collector.get<Answer>(path);
    expect(previous.in.map((step) => step?.bytes)).toEqual(points.map(({ counters }) => counters?.in.bytes));
  });

  test("a drag over the chart shows this time", async ({ user, collector }) => {
    await user.goto(collector.page + url);
    const chart = user.locator(".u-over");
    const box = await chart.boundingBox();
    if (!box) throw new Error("there is no chart");
    const before = await total(user, "in");
    await user.mouse.move(box.x + box.width * 0.25, box.y + 50);
    await user.mouse.down();
    await user.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 });
    await user.mouse.up();
    await expect.poll(() => range(user).to).toBeLessThan(to);
    const shown = range(user);
    // A quarter of 240 minutes, to a pixel of each end.
    expect(Math.abs(shown.from - (from + 60 * MINUTE))).toBeLessThanOrEqual(2 * MINUTE);
    expect(Math.abs(shown.to - (from + 120 * MINUTE))).toBeLessThanOrEqual(2 * MINUTE);
    await expect.poll(() => total(user, "in")).not.toBe(before);
    const path = `/series/127.0.0.2?prefix=${OTHER}&step=minute&from=${text(shown.from)}&to=${text(shown.to)}`;
    const { points } = await collector.get<Answer>(path);
    expect(await total(user, "in")).toBe(
      String(points.reduce((sum, { counters }) => sum + (counters?.in.bytes ?? 0), 0)),
    );
  });

  test("arrows move the time by its length", async ({ user, collector }) => {
    await user.goto(collector.page + url);
    await user.getByRole("button", { name: "Earlier" }).click();
    await expect.poll(() => range(user)).toEqual({ from: from - 240 * MINUTE, to: from });
    await user.getByRole("button", { name: "Later" }).click();
    await expect.poll(() => range(user)).toEqual({ from, to });
    await user.getByRole("button", { name: "Zoom in" }).click();
    await expect.poll(() => range(user)).toEqual({ from: from + 60 * MINUTE, to: to - 60 * MINUTE });
  });
});

test("times are typed as people say them", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${OTHER}&last=1h`);
  await user.getByLabel("From, in Europe/Berlin").fill("yesterday 14:00");
  await user.getByLabel("To, in Europe/Berlin").fill("yesterday 15:30");
  await user.getByRole("button", { name: "Show", exact: true }).click();
  await expect.poll(() => range(user).to - range(user).from).toBe(90 * MINUTE);
  const berlin = (time: number, options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat("sv", { timeZone: "Europe/Berlin", ...options }).format(time);
  expect(berlin(range(user).from, { timeStyle: "short" })).toBe("14:00");
  // Noon of today is less than two days after it, whatever clocks do.
  const days = [0, 1, 2].map((ago) => berlin(Date.now() - ago * 24 * 60 * MINUTE, { dateStyle: "short" }));
  expect(days.indexOf(berlin(range(user).from, { dateStyle: "short" }))).toBe(1);
  await user.getByLabel("From, in Europe/Berlin").fill("teatime");
  await user.getByRole("button", { name: "Show", exact: true }).click();
  await expect(user.getByRole("alert")).toContainText("“teatime” is not a time");
});

test("a value that is chosen again leads to its flows", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto`);
  await user.getByRole("button", { name: "6", exact: true }).click();
  await expect(user).toHaveURL(/by=proto&only=6/);
  await expect(user.locator('[data-row="17"]')).toHaveCount(0);
  await user.getByRole("button", { name: "6", exact: true }).click();
  await expect(user).toHaveURL(/\/web\/flows\?filter=net\+192.0.2.0\/24\+and\+proto\+%3D\+6/);
});

test("interfaces are shown in percent of their speed", async ({ user, collector }) => {
  const url = `${collector.page}/web/traffic?prefix=${PREFIX}&sender=127.0.0.1&${rangeOf(collector)}&by=inif`;
  test.setTimeout(150_000);
  // The rate of the present minute changes until it ends.
  await expect(async () => {
    await user.goto(url);
    const row = user.locator("tbody tr", { hasText: "1.00 Gbit/s" }).first();
    await expect(row).toBeVisible();
    const value = (await row.getAttribute("data-row")) ?? "";
    const max = await figure(user, value, "in-max");
    expect(max).toBeGreaterThan(0);
    await user.getByRole("button", { name: "% of speed" }).click();
    await expect(user).toHaveURL(/unit=percent/);
    await expect.poll(() => figure(user, value, "in-max"), { timeout: 5000 }).toBeCloseTo((max / 1e9) * 100, 9);
  }).toPass({ timeout: 100_000 });
  await user.goto(`${url.replace("by=inif", "by=proto")}&unit=percent`);
  await expect(user.getByRole("button", { name: "bit/s" })).toHaveAttribute("aria-pressed", "true");
});

test("counters beyond 2^53 have all digits of the REST interface", async ({ user, collector }) => {
  const prefix = "203.0.113.0/24";
  await collector.netflow("senders", "add", "127.0.0.9", prefix);
  await collector.netflow("senders", "set", "127.0.0.9", "samplingRate=1000003");
  const octets = [4_294_967_291, 4_294_967_279, 4_294_967_231];
  const sum = octets.reduce((sum, octets) => sum + BigInt(octets) * 1_000_003n, 0n);
  expect(Number.isSafeInteger(Number(sum))).toBe(false);
  const path = `/top/127.0.0.9?prefix=${prefix}&field=proto`;
  const stored = async () => (await collector.netflow("curl", "GET", path)).includes(`"bytes":${sum}`);
  // The collector learns of the sender and its setting a moment later.
  await until(async () => (await collector.netflow("senders")).includes("samplingRate=1000003"));
  await sendFlows("127.0.0.9", collector.udp, [203, 0, 113, 7], octets);
  await until(stored);
  // The present minute is part of the last hour.
  await user.goto(`${collector.page}/web/traffic?prefix=${prefix}&sender=127.0.0.9&last=1h&by=proto`);
  await expect.poll(() => total(user, "in")).toBe(String(sum));
  const started = user.waitForEvent("download");
  await user.getByRole("button", { name: "CSV of the table" }).click();
  let csv = "";
  for await (const part of await (await started).createReadStream()) csv += part;
  expect(csv).toContain(`total,,${sum},`);
  // So have the other pages. The archive reads flows after they are counted.
  const archived = "/flows/top?exporter=127.0.0.9&by=proto&last=1h";
  await until(async () => (await collector.netflow("curl", "GET", archived)).includes(`"bytes":${sum}`));
  const flows = `${collector.page}/web/flows?exporter=127.0.0.9&last=1h`;
  await user.goto(`${flows}&by=proto`);
  await expect(user.locator('[data-row="total"] [data-sum="bytes"]')).toHaveAttribute("data-exact", String(sum));
  await user.goto(`${flows}&by=srcip,proto&show=ways`);
  await expect(user.locator("svg.ways .ways-node-1")).toBeVisible();
  await user.goto(`${flows}&show=hours`);
  const hours = user.locator("svg.hours [data-exact]");
  await expect(hours.first()).toBeVisible();
  const values = await hours.evaluateAll((all) => all.map((hour) => hour.getAttribute("data-exact") ?? "0"));
  expect(values.reduce((sum, value) => sum + BigInt(value), 0n)).toBe(sum);
  await user.goto(`${flows}&show=rows`);
  const exact = new Intl.NumberFormat("en").format(BigInt(octets[0] ?? 0) * 1_000_003n);
  await expect(user.getByRole("region", { name: "Flows" })).toContainText(exact);
  await user.goto(`${collector.page}/web/billing?prefix=${prefix}&sender=127.0.0.9`);
  await expect(user.locator('[data-direction="in"] [data-bytes]')).toHaveAttribute("data-bytes", String(sum));
});

test("all prefixes and the networks of a customer are added up", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto`);
  await user.getByRole("combobox", { name: "Prefix" }).selectOption("all");
  await expect(user).toHaveURL(/prefix=all/);
  // Counters of another test are beyond 2^53.
  const bytes = async (prefix: string) => {
    const path = `/series?sender=all&prefix=${prefix}&step=minute&${rangeOf(collector)}`;
    const answer = await collector.netflow("curl", "GET", path);
    return [...answer.matchAll(/"in":{"bytes":(\d+)/g)].reduce((sum, [, bytes]) => sum + BigInt(bytes ?? 0), 0n);
  };
  const { prefixes } = await collector.get<{ prefixes: string[] }>(
    `/series?sender=all&prefix=all&step=minute&${rangeOf(collector)}`,
  );
  expect(prefixes).toContain(PREFIX);
  let sum = 0n;
  for (const prefix of prefixes) sum += await bytes(prefix);
  expect(sum >= BigInt(collector.total("in").bytes)).toBe(true);
  expect(await total(user, "in")).toBe(String(sum));
  await user.getByRole("button", { name: "6", exact: true }).click();
  await user.getByRole("link", { name: "Its flows" }).click();
  await expect(user.locator('[data-row="total"]')).toBeVisible();
  await expect(user.getByRole("alert")).toHaveCount(0);
  await collector.netflow("networks", "add", PREFIX, "name=office", "customer=customer-a");
  try {
    // The collector learns of its networks within seconds.
    await until(() =>
      bytes("customer-a").then(
        () => true,
        () => false,
      ),
    );
    await user.goto(`${collector.page}/web/traffic?prefix=all&${rangeOf(collector)}&by=proto`);
    await user.getByRole("combobox", { name: "Prefix" }).selectOption("customer-a");
    await expect(user).toHaveURL(/prefix=customer-a/);
    await expect.poll(() => total(user, "in")).toBe(String(collector.total("in").bytes));
  } finally {
    await collector.netflow("networks", "remove", PREFIX);
  }
});
