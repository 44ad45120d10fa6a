// Tests with a collector and a browser that may ask no other host.
import { test as base, expect, type Page } from "@playwright/test";
import { Collector, type Keys } from "./collector";

interface WorkerFixtures {
  collector: Collector;
}
interface Fixtures {
  /** A page that is logged in. */
  user: Page;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  collector: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of fixtures from it
    async ({}, use) => {
      const collector = new Collector();
      try {
        await collector.start();
        await collector.generate(6000);
        await use(collector);
      } finally {
        await collector.stop();
      }
    },
    { scope: "worker", timeout: 120_000 },
  ],
  user: async ({ page, collector }, use) => {
    const problems = await watched(page, collector.page);
    await logIn(page, collector.page, collector.keys());
    await use(page);
    expect(problems).toEqual([]);
  },
});
export { expect };

/** What a page must never do: ask another host, violate its policy, or throw. */
export async function watched(page: Page, origin: string): Promise<string[]> {
  const problems: string[] = [];
  await page.route("**", (route) => {
    const url = new URL(route.request().url());
    if (url.origin === origin || url.protocol === "data:" || url.protocol === "blob:") return route.continue();
    problems.push(`it asks ${url}`);
    return route.abort();
  });
  page.on("pageerror", (error) => problems.push(error.stack ?? error.message));
  page.on("dialog", (dialog) => problems.push(`a dialog: ${dialog.message()}`));
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) problems.push(message.text());
  });
  return problems;
}

export async function logIn(page: Page, origin: string, keys: Keys, path = "/web/now"): Promise<void> {
  await page.goto(origin + path);
  await page.getByLabel("authKey").fill(keys.authKey);
  await page.getByLabel("signKey").fill(keys.signKey);
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
}

/** A range in a URL around everything that the generator sent, in whole minutes. */
export function rangeOf(collector: Collector): string {
  const minute = (time: number) => `${new Date(time).toISOString().slice(0, 16)}Z`;
  return `from=${minute(collector.began - 120_000)}&to=${minute(collector.began + 180_000)}`;
}
