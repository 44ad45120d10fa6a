// Pages for everybody: by keyboard, at all widths, light and dark.
import type { Page } from "@playwright/test";
import axe from "axe-core";
import { PREFIX } from "./support/collector";
import { expect, rangeOf, test } from "./support/test";

const PAGES = (range: string) => ({
  now: "/web/now",
  traffic: `/web/traffic?prefix=${PREFIX}&${range}&by=remote-port&previous=1`,
  flows: `/web/flows?filter=net+${PREFIX}&${range}&by=srcip,dstport`,
  ways: `/web/flows?filter=net+${PREFIX}&${range}&by=srcip,proto,dstip&show=ways`,
  hours: `/web/flows?filter=net+${PREFIX}&last=2d&show=hours`,
  rows: `/web/flows?filter=net+${PREFIX}&${range}&show=rows`,
  routers: "/web/routers",
  router: "/web/routers/127.0.0.1",
  billing: `/web/billing?prefix=${PREFIX}`,
  status: "/web/status",
});

async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: () => Promise<axe.AxeResults> } };
    const { violations } = await axe.run();
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`,
    );
  });
}

const SETTINGS = [
  { scheme: "light", width: 1400 },
  { scheme: "dark", width: 1400 },
  { scheme: "light", width: 390 },
  { scheme: "dark", width: 2560 },
] as const;

for (const { scheme, width } of SETTINGS) {
  test(`all pages are accessible and fit, ${scheme}, ${width} pixels`, async ({ user, collector }) => {
    await user.emulateMedia({ colorScheme: scheme });
    await user.setViewportSize({ width, height: 900 });
    for (const [name, path] of Object.entries(PAGES(rangeOf(collector)))) {
      await user.goto(collector.page + path);
      await expect(user.locator("table, svg.picture").first()).toBeVisible();
      await expect(user.getByText("Loading …")).toHaveCount(0);
      expect(await violations(user), name).toEqual([]);
      const overflow = await user.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      expect(overflow, `${name} is wider than the window`).toBeLessThanOrEqual(0);
    }
  });
}

test("the login is accessible", async ({ page, collector }) => {
  await page.goto(`${collector.page}/web/now`);
  await expect(page.getByLabel("signKey")).toBeVisible();
  expect(await violations(page)).toEqual([]);
});

test("everything works by keyboard", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto`);
  await expect(user.locator('[data-row="total"]')).toBeVisible();
  // The cursor of the chart shows the numbers of a step.
  await user.locator(".chart-frame").focus();
  await user.keyboard.press("ArrowLeft");
  await expect(user.locator(".chart-tip")).toContainText("UTC");
  // A row filters, and the history leads back.
  await user.getByRole("button", { name: "17", exact: true }).focus();
  await user.keyboard.press("Enter");
  await expect(user).toHaveURL(/only=17/);
  await user.goBack();
  await expect(user).not.toHaveURL(/only=17/);
  // Zooming needs no mouse.
  await user.getByRole("button", { name: "Zoom out" }).focus();
  const before = user.url();
  await user.keyboard.press("Enter");
  await expect(user).not.toHaveURL(before);
  // The first Tab leads to the content, and the pages are links.
  await user.goto(`${collector.page}/web/now`);
  await expect(user.getByRole("region", { name: "Routers" })).toBeVisible();
  await user.keyboard.press("Tab");
  await expect(user.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await user.getByRole("link", { name: "Routers" }).focus();
  await user.keyboard.press("Enter");
  await expect(user.getByRole("heading", { name: "Routers" })).toBeVisible();
  // A dialog opens by Enter, closes by Escape, and gives the focus back.
  await user.getByRole("button", { name: "Register a router" }).focus();
  await user.keyboard.press("Enter");
  await expect(user.getByRole("dialog")).toBeVisible();
  await user.keyboard.press("Escape");
  await expect(user.getByRole("dialog")).toHaveCount(0);
  await expect(user.getByRole("button", { name: "Register a router" })).toBeFocused();
});

test("a range is zoomed by dragging over the chart", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&last=1h&by=proto`);
  const plot = user.locator(".u-over");
  await expect(plot).toBeVisible();
  const box = await plot.boundingBox();
  if (!box) throw new Error("the chart has no size");
  await user.mouse.move(box.x + box.width * 0.25, box.y + 50);
  await user.mouse.down();
  await user.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 5 });
  await user.mouse.up();
  await expect(user).toHaveURL(/from=.*&to=/);
  const { searchParams } = new URL(user.url());
  const minutes = (Date.parse(searchParams.get("to") ?? "") - Date.parse(searchParams.get("from") ?? "")) / 60_000;
  expect(Math.abs(minutes - 15)).toBeLessThanOrEqual(1);
});
