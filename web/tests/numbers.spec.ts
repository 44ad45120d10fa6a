// Numbers on the page are those of the REST interface, which are those that the generator sent.
import type { Page } from "@playwright/test";
import { PREFIX } from "./support/collector";
import { expect, rangeOf, test } from "./support/test";

async function exactTotals(page: Page, row: string): Promise<{ in: number; out: number }> {
  const total = (direction: string) =>
    page.locator(`[data-row="${row}"] [data-total="${direction}"]`).getAttribute("data-exact");
  return { in: Number(await total("in")), out: Number(await total("out")) };
}

const UNITS = [
  ["bits", "bytes"],
  ["packets", "pkts"],
  ["flows", "flows"],
] as const;

for (const [unit, counter] of UNITS) {
  test(`traffic in ${unit} is what was sent`, async ({ user, collector }) => {
    await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto&unit=${unit}`);
    await expect(user.locator('[data-row="total"]')).toBeVisible();
    const [inward, outward] = [collector.total("in"), collector.total("out")];
    expect(await exactTotals(user, "total")).toEqual({ in: inward[counter], out: outward[counter] });
    for (const proto of ["6", "17"]) {
      const expected = {
        in: collector.total("in", `proto:${proto}`)[counter],
        out: collector.total("out", `proto:${proto}`)[counter],
      };
      expect(await exactTotals(user, proto)).toEqual(expected);
    }
  });
}

test("rows and all others add up to the total", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=remote-port&rows=5`);
  await expect(user.locator('[data-row="others"]')).toBeVisible();
  for (const direction of ["in", "out"] as const) {
    const cells = user.locator(`tbody [data-total="${direction}"]`);
    const sums = await cells.evaluateAll((all) => all.map((cell) => Number(cell.getAttribute("data-exact"))));
    expect(sums).toHaveLength(6);
    expect(sums.reduce((total, sum) => total + sum, 0)).toBe(collector.total(direction).bytes);
  }
});

test("a row is the counter of the REST interface", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=remote-ip`);
  const row = user.locator("tbody tr[data-row]").first();
  await expect(row).toBeVisible();
  const value = await row.getAttribute("data-row");
  const top = await collector.get<{ rows: { name: string; bytes: number }[] }>(
    `/top/127.0.0.1?prefix=${PREFIX}&field=srcip&n=1000&${rangeOf(collector)}`,
  );
  const bytes = top.rows.find(({ name }) => name === `srcip:${value}`)?.bytes;
  expect(bytes).toBeGreaterThan(0);
  expect((await exactTotals(user, value ?? "")).in).toBe(bytes);
});

test("a click on a value filters, and leads to its flows", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto`);
  await user.getByRole("button", { name: "6", exact: true }).click();
  await expect(user).toHaveURL(/by=proto&only=6/);
  await user.getByRole("link", { name: "Its flows" }).click();
  await expect(user).toHaveURL(/\/web\/flows\?filter=net\+192.0.2.0\/24\+and\+proto\+%3D\+6/);
});

test("flows are what was sent", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/flows?filter=net+${PREFIX}&${rangeOf(collector)}&by=proto`);
  const total = user.locator('[data-row="total"]');
  await expect(total).toBeVisible();
  const [inward, outward] = [collector.total("in"), collector.total("out")];
  for (const [sum, counter] of [
    ["bytes", "bytes"],
    ["packets", "pkts"],
    ["flows", "flows"],
  ] as const) {
    const cell = total.locator(`[data-sum="${sum}"]`);
    expect(Number(await cell.getAttribute("data-exact"))).toBe(inward[counter] + outward[counter]);
  }
});

test("a bill has what was sent", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/billing?prefix=${PREFIX}&sender=127.0.0.1`);
  for (const direction of ["in", "out"] as const) {
    const cell = user.locator(`[data-direction="${direction}"] [data-bytes]`);
    await expect(cell).toHaveAttribute("data-bytes", String(collector.total(direction).bytes));
  }
});

test("the files of Now have what was sent, and its requests give the same", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/now`);
  await expect(user.locator(".uplot")).toBeVisible();
  const started = user.waitForEvent("download");
  await user.getByRole("button", { name: "CSV", exact: true }).click();
  let text = "";
  for await (const part of await (await started).createReadStream()) text += part;
  const [head = "", ...lines] = text.trim().split("\r\n");
  const columns = head.split(",");
  const rows = lines.map((line) => new Map(line.split(",").map((cell, index) => [columns[index], cell])));
  const sumOf = (rows: Map<string | undefined, string>[], column: string) =>
    rows.reduce((sum, row) => sum + Number(row.get(column)), 0);
  const own = rows.filter((row) => row.get("prefix") === PREFIX);
  expect(sumOf(own, "in_bytes")).toBe(collector.total("in").bytes);
  expect(sumOf(own, "out_flows")).toBe(collector.total("out").flows);
  await user.getByText("The same numbers by request and by command").click();
  const shown = await user.locator(".same code").allTextContents();
  const request = shown.find((text) => text.startsWith("GET ") && text.includes(`prefix=${PREFIX}`))?.slice(4) ?? "";
  const { points } = await collector.get<{ points: { counters: { in?: { bytes: number } } | null }[] }>(request);
  expect(points.reduce((sum, { counters }) => sum + (counters?.in?.bytes ?? 0), 0)).toBe(collector.total("in").bytes);
});

test("the requests that a page shows give its numbers", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto`);
  await user.getByText("The same numbers by request and by command").click();
  const requests = await user.locator(".same code").allTextContents();
  const series = requests.find((text) => text.startsWith("GET /series"))?.slice(4) ?? "";
  const { points } = await collector.get<{ points: { counters: { in?: { bytes: number } } | null }[] }>(series);
  const bytes = points.reduce((sum, { counters }) => sum + (counters?.in?.bytes ?? 0), 0);
  expect(bytes).toBe(collector.total("in").bytes);
  const command = requests.find((text) => text.startsWith("netflow series")) ?? "";
  const words = command.split(" ").slice(1);
  const printed = JSON.parse(await collector.netflow(...words, "--json")) as { points: unknown[] };
  expect(printed.points).toHaveLength(points.length);
});

test("CSV has exact numbers", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto`);
  const started = user.waitForEvent("download");
  await user.getByRole("button", { name: "CSV of the table" }).click();
  const stream = await (await started).createReadStream();
  let text = "";
  for await (const part of stream) text += part;
  const total = text.split("\r\n").find((line) => line.startsWith("total,"));
  expect(total?.split(",")[2]).toBe(String(collector.total("in").bytes));
});
