// The Flows page: parts of an answer while the rest is read, hours, saved and completed filters, and pictures as files.
import type { Download, Page } from "@playwright/test";
import { HOSTILE, PREFIX } from "./support/collector";
import { expect, rangeOf, test } from "./support/test";

/** Answers questions in lines that the test writes with `line`; `stopped` is how many of them the page has given up. */
function ownLines(): void {
  const state = { line: (_: object) => undefined as undefined, asked: [] as string[], stopped: 0 };
  Object.assign(window, { state });
  const real = window.fetch;
  window.fetch = async (path, init) => {
    if (!String(path).includes("stream=1")) return real(path, init);
    state.asked.push(String(path));
    const encoder = new TextEncoder();
    const body = new ReadableStream({
      start(controller) {
        state.line = (line) => {
          controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
          if ("answer" in line || "error" in line) controller.close();
          return undefined;
        };
        init?.signal?.addEventListener("abort", () => {
          state.stopped += 1;
          controller.error(init.signal?.reason);
        });
      },
    });
    return new Response(body, { headers: { "Content-Type": "application/x-ndjson" } });
  };
}

const line = (page: Page, line: object) =>
  page.evaluate((line) => (window as unknown as { state: { line: (line: object) => void } }).state.line(line), line);

const sums = (bytes: number) => ({ records: 1, bytes, packets: 1, flows: 1 });
const answerFrom = (from: string, bytes: number) => ({
  from,
  to: "2026-11-30T00:00:00Z",
  by: ["dstport"],
  every: "5m",
  rows: [{ key: { dstport: 443 }, ...sums(bytes) }],
  rest: { groups: 0, ...sums(0) },
  total: sums(bytes),
  steps: [{ start: "2026-11-29T23:00:00Z", rows: [sums(bytes)], rest: sums(0) }],
  coverage: { since: null, reaches: null, missing: [], leftOut: [] },
});

test("the newest flows are shown while the rest is read, and Stop ends it", async ({ user, collector }) => {
  await user.addInitScript(ownLines);
  await user.goto(`${collector.page}/web/flows?from=2026-11-29T00:00Z&to=2026-11-30T00:00Z&by=dstport`);
  const status = user.locator(".reading");
  await expect(status).toBeVisible();
  await line(user, { progress: { from: "2026-11-29T23:00:00Z", percent: 0 } });
  await expect(status).toContainText("0 of 24 hours are read");
  await line(user, { part: answerFrom("2026-11-29T20:00:00Z", 1000) });
  await expect(user.locator('[data-row="total"] [data-sum="bytes"]')).toHaveAttribute("data-exact", "1000");
  await expect(status).toContainText("Shown is the last 4 h");
  await line(user, { progress: { from: "2026-11-29T00:00:00Z", percent: 75 } });
  await expect(status).toContainText("18 of 24 hours are read");
  await status.getByRole("button", { name: "Stop" }).focus();
  await user.keyboard.press("Enter");
  await expect(user.getByText("Stopped. Shown is the last 4 h of the time.")).toBeVisible();
  await expect(user.locator('[data-row="total"] [data-sum="bytes"]')).toHaveAttribute("data-exact", "1000");
  const stopped = () => user.evaluate(() => (window as unknown as { state: { stopped: number } }).state.stopped);
  expect(await stopped()).toBe(1);
  // The next question is answered as a whole.
  await user.getByLabel("Largest by").selectOption("flows");
  await expect(status).toBeVisible();
  await line(user, { answer: answerFrom("2026-11-29T00:00:00Z", 5000) });
  await expect(user.locator('[data-row="total"] [data-sum="bytes"]')).toHaveAttribute("data-exact", "5000");
  await expect(status).toHaveCount(0);
  await expect(user.getByText("Stopped.")).toHaveCount(0);
});

test("an error at the end of lines is shown", async ({ user, collector }) => {
  await user.addInitScript(ownLines);
  await user.goto(`${collector.page}/web/flows?last=7d`);
  await expect(user.locator(".reading")).toBeVisible();
  await line(user, { error: { status: "UNPROCESSABLE_ENTITY", message: "the answer does not fit" } });
  await expect(user.getByRole("alert")).toContainText("the answer does not fit");
});

test("hours have what was sent, and lead to their flows by keyboard", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/flows?filter=net+${PREFIX}&last=24h&show=hours`);
  const hours = user.locator("svg.hours [data-exact]");
  await expect(hours.first()).toBeVisible();
  const values = await hours.evaluateAll((all) => all.map((hour) => Number(hour.getAttribute("data-exact"))));
  const sent = collector.total("in").bytes + collector.total("out").bytes;
  expect(values.reduce((sum, value) => sum + value, 0)).toBe(sent);
  const busiest = hours.nth(values.indexOf(Math.max(...values)));
  await busiest.focus();
  await user.keyboard.press("Enter");
  await expect(user).toHaveURL(/\/web\/flows\?filter=.*&from=.*&to=/);
  const total = user.locator('[data-row="total"] [data-sum="bytes"]');
  await expect(total).toHaveAttribute("data-exact", String(Math.max(...values)));
  // The same hours, as those of the week and of UTC.
  await user.goto(`${collector.page}/web/flows?filter=net+${PREFIX}&last=24h&show=hours`);
  await user.getByRole("button", { name: "days of the week" }).click();
  await user.getByLabel("Hours of UTC").check();
  await expect(user).toHaveURL(/show=hours&days=weekdays&tz=UTC/);
  await expect(user.locator("svg.hours")).toContainText("day");
});

async function textOf(download: Download): Promise<string> {
  let text = "";
  for await (const part of await download.createReadStream()) text += part;
  return text;
}

async function svg(page: Page): Promise<string> {
  const started = page.waitForEvent("download");
  await page.getByRole("button", { name: "SVG" }).click();
  return textOf(await started);
}

/** What the browser reads of a file: its errors, the elements that could do something, and its text. */
const parsed = (page: Page, text: string) =>
  page.evaluate((text) => {
    const file = new DOMParser().parseFromString(text, "image/svg+xml");
    const attributes = [...file.querySelectorAll("*")].flatMap((element) =>
      [...element.attributes].map(({ name }) => name),
    );
    return {
      errors: file.querySelectorAll("parsererror").length,
      active: file.querySelectorAll("script, img, foreignObject, image").length,
      handlers: attributes.filter((name) => name.startsWith("on")),
      text: file.documentElement.textContent ?? "",
      shapes: file.querySelectorAll("path, rect").length,
    };
  }, text);

test("every chart is saved as SVG, in both schemes, with hostile names as text", async ({ user, collector }) => {
  const range = rangeOf(collector);
  const pages = {
    now: "/web/now",
    traffic: `/web/traffic?prefix=${PREFIX}&${range}&by=own-as`,
    flows: `/web/flows?filter=net+${PREFIX}&${range}&by=dstas,srcas`,
    ways: `/web/flows?filter=net+${PREFIX}&${range}&by=srcas,proto,dstas&show=ways`,
    hours: `/web/flows?filter=net+${PREFIX}&last=24h&show=hours`,
    billing: `/web/billing?prefix=${PREFIX}&sender=127.0.0.1`,
  };
  for (const [name, path] of Object.entries(pages)) {
    const files: string[] = [];
    for (const colorScheme of ["light", "dark"] as const) {
      await user.emulateMedia({ colorScheme });
      await user.goto(collector.page + path);
      await expect(user.locator(".uplot, svg.picture").first()).toBeVisible();
      // What is shown before all is read has fewer hours.
      await expect(user.locator(".reading")).toHaveCount(0);
      const file = await svg(user);
      const { errors, active, handlers, text, shapes } = await parsed(user, file);
      expect({ errors, active, handlers }, name).toEqual({ errors: 0, active: 0, handlers: [] });
      expect(shapes, name).toBeGreaterThan(3);
      if (["traffic", "flows", "ways"].includes(name)) expect(text, name).toContain(HOSTILE.slice(0, 20));
      files.push(file);
    }
    expect(files[0], name).not.toBe(files[1]);
  }
});

test("a PNG has the size of the chart", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/flows?filter=net+${PREFIX}&${rangeOf(collector)}&by=proto,dstas&show=ways`);
  await expect(user.locator("svg.ways")).toBeVisible();
  const started = user.waitForEvent("download");
  await user.getByRole("button", { name: "PNG" }).click();
  const chunks: Buffer[] = [];
  for await (const part of await (await started).createReadStream()) chunks.push(part as Buffer);
  const picture = Buffer.concat(chunks);
  expect(picture.subarray(1, 4).toString()).toBe("PNG");
  expect(picture.readUInt32BE(16)).toBe(2200);
});

test("a filter is completed, saved, chosen and forgotten by keyboard", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/flows?last=5m`);
  const filter = user.getByLabel("Filter, such as");
  await filter.focus();
  await user.keyboard.type("dstp");
  await expect(user.getByRole("group", { name: "Words that fit" })).toContainText("dstport");
  await user.keyboard.press("ArrowDown");
  await user.keyboard.press("Enter");
  await expect(filter).toBeFocused();
  await user.keyboard.type("= 443");
  await expect(filter).toHaveValue("dstport = 443");
  await user.keyboard.press("Enter");
  await expect(user).toHaveURL(/filter=dstport\+%3D\+443/);
  await user.getByRole("button", { name: "Save this filter" }).focus();
  await user.keyboard.press("Enter");
  await user.goto(`${collector.page}/web/flows?last=5m`);
  await user.getByLabel("Saved filters").selectOption("dstport = 443");
  await expect(user).toHaveURL(/filter=dstport\+%3D\+443/);
  await user.getByRole("button", { name: "Forget this filter" }).focus();
  await user.keyboard.press("Enter");
  await expect(user.getByLabel("Saved filters")).toHaveCount(0);
});

test("flows are grouped by any columns, and shown one by one with what was sent", async ({ user, collector }) => {
  const range = rangeOf(collector);
  await user.goto(`${collector.page}/web/flows?filter=net+${PREFIX}&${range}`);
  const by = user.getByLabel("Group by columns");
  await by.fill("proto, received/1m, tos");
  await by.press("Enter");
  await expect(user).toHaveURL(/by=proto,received\/1m,tos/);
  await expect(user.getByRole("columnheader", { name: "received/1m" })).toBeVisible();
  const total = user.locator('[data-row="total"] [data-sum="flows"]');
  await expect(total).toHaveAttribute("data-exact", String(collector.total("in").flows + collector.total("out").flows));
  await by.fill("srcip,dstprot");
  await by.press("Enter");
  await expect(user.getByRole("alert")).toContainText("did you mean dstport?");
  // One by one, each once, in pages of 100.
  const seen = new Set<string>();
  await user.goto(`${collector.page}/web/flows?filter=net+${PREFIX}&${range}&show=rows`);
  for (const page of [1, 2, 3]) {
    const rows = user.getByRole("region", { name: "Flows" }).locator("tbody tr");
    await expect(user.locator(".reading")).toHaveCount(0);
    await expect(rows).toHaveCount(100);
    for (const text of await rows.allInnerTexts()) seen.add(text);
    expect(seen.size).toBe(100 * page);
    const before = user.url();
    const shown = await rows.first().textContent();
    await user.getByRole("button", { name: "Older flows" }).click();
    await expect(user).not.toHaveURL(before);
    await expect(rows.first()).not.toHaveText(shown ?? "");
  }
});

test("ways are drawn for two, three and four columns", async ({ user, collector }) => {
  for (const by of ["srcip,dstport", "srcip,proto,dstip", "exporter,srcip,dstport,dstip"]) {
    await user.goto(`${collector.page}/web/flows?filter=net+${PREFIX}&${rangeOf(collector)}&by=${by}&show=ways`);
    await expect(user.locator("svg.ways .ways-column")).toHaveText(by.split(","));
    await expect(user.locator(`svg.ways .ways-node-${by.split(",").length - 1}`).first()).toBeVisible();
  }
});
