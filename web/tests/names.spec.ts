// Names of 4 KB from outside: they are text, and no page becomes wider than its window.
import type { Page, Route } from "@playwright/test";
import { HOSTILE, PREFIX, TURNED } from "./support/collector";
import { expect, rangeOf, test } from "./support/test";

/** Markup, text of the other direction, and words without an end. */
const WORD = "W".repeat(1500);
const LONG = `${HOSTILE}${TURNED}${WORD}${"ש".repeat(1000)}</script><svg onload="window.hacked=1">`.padEnd(4096, "x");
const NAMES = new Set([
  "name",
  "description",
  "network",
  "customer",
  "what",
  "evidence",
  "text",
  "reason",
  "statement",
]);

/** The same answer with long names. What identifies a value, such as `proto:6`, stays. */
function lengthened(value: unknown, key = "", isName = false): unknown {
  if (Array.isArray(value)) return value.map((item) => lengthened(item, key, isName));
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([name, item]) => [name, lengthened(item, name, key === "names")]));
  }
  // Interfaces, routers and networks without a name have null.
  const isText = typeof value === "string" || (value === null && NAMES.has(key));
  if (!isText || (key === "name" && /^[a-z]+:/.test(value ?? ""))) return value;
  return isName || NAMES.has(key) ? LONG : value;
}

async function lengthenNames(page: Page, origin: string): Promise<void> {
  const answer = async (route: Route) => {
    const response = await route.fetch();
    const text = await response.text();
    const long = (json: string) => JSON.stringify(lengthened(JSON.parse(json)));
    const lines = text.split("\n").map((line) => (line.startsWith("{") || line.startsWith("[") ? long(line) : line));
    await route.fulfill({ response, body: lines.join("\n") });
  };
  // A collector without events: the page asks, so its answers can be changed.
  await page.route(`${origin}/events`, (route) => route.fulfill({ status: 404 }));
  await page.route(new RegExp(`^${origin}/(senders|exporters|unknown|doctor|networks|series|flows|billing)`), answer);
}

const PAGES = (range: string) => ({
  now: "/web/now",
  "traffic by AS": `/web/traffic?prefix=${PREFIX}&${range}&by=own-as`,
  "traffic by interface": `/web/traffic?prefix=${PREFIX}&sender=127.0.0.1&${range}&by=inif`,
  groups: `/web/flows?filter=net+${PREFIX}&${range}&by=srcas,dstas`,
  ways: `/web/flows?filter=net+${PREFIX}&${range}&by=srcas,proto,dstas&show=ways`,
  flows: `/web/flows?filter=net+${PREFIX}&${range}&show=rows`,
  routers: "/web/routers",
  router: "/web/routers/127.0.0.1",
  billing: `/web/billing?prefix=${PREFIX}`,
});

for (const width of [1400, 390]) {
  test(`names of 4 KB are text and fit, ${width} pixels`, async ({ user, collector }) => {
    test.setTimeout(240_000);
    await lengthenNames(user, collector.page);
    await user.setViewportSize({ width, height: 900 });
    for (const [name, path] of Object.entries(PAGES(rangeOf(collector)))) {
      await user.goto(collector.page + path);
      await expect(user.locator("table, svg.picture, .statement").first(), name).toBeVisible();
      await expect(user.getByText("Loading …")).toHaveCount(0);
      // In a diagram, labels are shortened.
      const shown = name === "ways" ? HOSTILE.slice(0, 10) : WORD;
      if (name !== "billing") await expect(user.locator("body").getByText(shown).first(), name).toBeAttached();
      const overflow = await user.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow, `${name} is wider than the window`).toBeLessThanOrEqual(0);
      await expect(user.locator("img, main script, svg[onload]"), name).toHaveCount(0);
      expect(await user.evaluate(() => "hacked" in window), name).toBe(false);
    }
    await user.unrouteAll({ behavior: "ignoreErrors" });
  });
}

test("a name of 4 KB in the tip of a chart stays in the window", async ({ user, collector }) => {
  await lengthenNames(user, collector.page);
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=own-as`);
  await expect(user.locator('[data-row="total"]')).toBeVisible();
  await user.locator(".chart-frame").focus();
  await user.keyboard.press("ArrowLeft");
  const tip = user.locator(".chart-tip");
  await expect(tip).toContainText("UTC");
  const box = await tip.boundingBox();
  expect(box?.x).toBeGreaterThanOrEqual(0);
  expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(1400);
  await user.unrouteAll({ behavior: "ignoreErrors" });
});
