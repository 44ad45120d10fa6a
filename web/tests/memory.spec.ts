// A page that is open for a day does not grow.
import type { CDPSession, Page } from "@playwright/test";
import { expect, test } from "./support/test";

const MB = 1024 * 1024;
/** A tenth of a day may grow by a tenth of 10 MB; a whole one, with DAY=1, takes minutes. */
const DAYS = process.env.DAY ? 1 : 0.1;
const EVENTS = 17_280 * DAYS;
const MINUTES = 1440 * DAYS;

async function heap(devtools: CDPSession): Promise<number> {
  await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  return usedSize;
}

/** Events that the test sends, in the place of those of the collector. */
function ownEvents(): void {
  const listeners: ((message: { data: string }) => void)[] = [];
  class Source {
    static readonly CLOSED = 2;
    readyState = 1;
    addEventListener(name: string, listener: (message: { data: string }) => void) {
      if (name === "now") listeners.push(listener);
    }
    close() {
      listeners.length = 0;
    }
  }
  Object.assign(window, {
    EventSource: Source,
    emit: (event: object) => {
      for (const listener of listeners) listener({ data: JSON.stringify(event) });
    },
  });
}

async function emit(page: Page, count: number): Promise<void> {
  await page.evaluate(async (count) => {
    const { emit } = window as unknown as { emit: (event: object) => void };
    const traffic = (value: number) => ({ bitsPerSecond: value, packetsPerSecond: value, flowsPerSecond: value });
    for (let event = 0; event < count; event += 1) {
      const senders = Array.from({ length: 20 }, (_, router) => ({
        address: `192.0.2.${router}`,
        tags: [],
        last: new Date().toISOString(),
        flowsPerSecond: event + router,
        traffic: { in: traffic(event), out: traffic(router), local: traffic(0) },
        lostPercent: 0,
        sampling: [1],
      }));
      emit({ senders, removed: [], unknown: [], findings: [] });
      await new Promise((resolve) => {
        const channel = new MessageChannel();
        channel.port1.onmessage = resolve;
        channel.port2.postMessage(null);
      });
    }
  }, count);
}

test("a page that is open for long does not grow", async ({ user, collector }) => {
  test.setTimeout(240_000 * Math.max(1, DAYS * 6));
  await user.addInitScript(ownEvents);
  await user.clock.install();
  await user.goto(`${collector.page}/web/now`);
  await expect(user.locator(".uplot")).toBeVisible();
  await emit(user, 50);
  await expect(user.locator('[data-router="192.0.2.19"]')).toBeVisible();
  const pass = async (minutes: number) => {
    for (let minute = 0; minute < minutes; minute += 1) {
      const answered = user.waitForResponse((response) => response.url().includes("/series"));
      await user.clock.runFor(60_000);
      await answered;
    }
  };
  await pass(10);
  const devtools = await user.context().newCDPSession(user);
  const before = await heap(devtools);
  await emit(user, EVENTS);
  await pass(MINUTES);
  const growth = (await heap(devtools)) - before;
  console.log(`the heap was ${(before / MB).toFixed(1)} MB, and grew by ${(growth / MB).toFixed(2)} MB`);
  expect(growth).toBeLessThan(10 * MB * DAYS);
});
