// The Status page: each item turns bad for its real reason, and good again. What cannot be provoked from outside (ledgers,
// readers that lag or lose, a full spool) is tested with changed answers: src/pages/status/checks.test.ts.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { Collector, freePort, PREFIX, until } from "./support/collector";
import { test as base, expect, logIn, watched } from "./support/test";

/** Findings are half a minute old at most, and the page asks every ten seconds. */
const PATIENCE = { timeout: 90_000 };
const check = (page: Page, name: string) => page.locator(`[data-check="${name}"]`);
const expectState = async (page: Page, name: string, state: "good" | "bad") =>
  expect(check(page, name), name).toHaveAttribute("data-state", state, PATIENCE);
const expectAllGood = async (page: Page) => {
  await expect(page.locator('[data-verdict="good"]')).toBeVisible(PATIENCE);
  await expect(page.locator('[data-state="bad"]')).toHaveCount(0);
};

/** Redis of a test, which can be paused. */
class Redis {
  private readonly directory = mkdtempSync(join(tmpdir(), "netflow-redis-"));
  private process: ChildProcess | undefined;
  port = 0;

  async start(): Promise<void> {
    this.port = await freePort();
    const options = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--dir", this.directory];
    this.process = spawn("redis-server", options, { stdio: "ignore" });
  }
  pause(): void {
    this.process?.kill("SIGSTOP");
  }
  resume(): void {
    this.process?.kill("SIGCONT");
  }
  stop(): void {
    this.process?.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  }
}

interface Fixtures {
  redis: Redis;
}
const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the names of fixtures from it
  redis: async ({}, use) => {
    const redis = new Redis();
    await redis.start();
    await use(redis);
    redis.stop();
  },
});

const send = (collector: Collector, ...options: string[]) =>
  collector.netflow("generate", "--to", `127.0.0.1:${collector.udp}`, "--flows", "300", "--rate", "1000", ...options);

/** Shows the Status page of a collector with these settings while the test runs. */
async function withStatus(page: Page, collector: Collector, run: () => Promise<void>): Promise<void> {
  try {
    await collector.start();
    const problems = await watched(page, collector.page);
    await logIn(page, collector.page, collector.keys(), "/web/status");
    await expectAllGood(page);
    await run();
    await expectAllGood(page);
    expect(problems).toEqual([]);
  } finally {
    await collector.stop();
  }
}

test.describe.configure({ timeout: 400_000 });

test("an unreachable store, and the flushes that wait for it", async ({ page, redis }) => {
  const collector = new Collector({ top: 'storage = "redis"', tables: `[redis]\nhosts = ["127.0.0.1:${redis.port}"]` });
  await withStatus(page, collector, async () => {
    redis.pause();
    const flows = setInterval(
      () => send(collector, "--source", "127.0.0.1", "--prefix", PREFIX).catch(() => undefined),
      3000,
    );
    try {
      await expectState(page, "Store", "bad");
      await expect(check(page, "Store")).toContainText("unreachable");
      await expectState(page, "Spool", "bad");
      await expect(check(page, "Spool")).toContainText("wait on this disk");
      await expectState(page, "Readiness", "bad");
      await expect(check(page, "Readiness")).toContainText("the store is unreachable");
      await expectState(page, "Ledgers", "good");
    } finally {
      clearInterval(flows);
      redis.resume();
    }
  });
});

test("an archive that cannot be written", async ({ page }) => {
  const collector = new Collector();
  await withStatus(page, collector, async () => {
    // The archive begins with the first flow.
    const files = join(collector.directory, "data/flows");
    rmSync(files, { recursive: true, force: true });
    writeFileSync(files, "not a directory");
    await until(async () => {
      await send(collector, "--source", "127.0.0.1", "--prefix", PREFIX);
      const { gauges } = await collector.get<{ gauges: Record<string, { value: number }> }>("/status");
      return (gauges.archive_failing_seconds?.value ?? 0) > 0;
    });
    await expectState(page, "Archive", "bad");
    await expect(check(page, "Archive")).toContainText("cannot be written");
    await expectState(page, "Ledgers", "good");
    unlinkSync(files);
  });
});

test("a journal that cannot be written", async ({ page }) => {
  const collector = new Collector();
  await withStatus(page, collector, async () => {
    const journal = join(collector.directory, "data/journal");
    renameSync(journal, `${journal}.away`);
    await send(collector, "--source", "127.0.0.1", "--prefix", PREFIX);
    await expectState(page, "Journal", "bad");
    await expect(check(page, "Journal")).toContainText("cannot be written");
    await expect(check(page, "Readiness")).toContainText("a crash would lose new datagrams");
    renameSync(`${journal}.away`, journal);
    // It is tried again when there is something to write.
    await send(collector, "--source", "127.0.0.1", "--prefix", PREFIX);
  });
});

test("a reader of the log that is paused and resumed here", async ({ page }) => {
  const collector = new Collector();
  await withStatus(page, collector, async () => {
    const readers = page.getByRole("region", { name: "Readers" });
    const order = async (word: string, action: string) => {
      await readers.getByRole("button", { name: word }).click();
      await page.getByRole("dialog").getByRole("button", { name: action }).click();
    };
    await order("pause", "Pause");
    await expect(readers).toContainText("paused since");
    await expectState(page, "Log and readers", "bad");
    await expect(check(page, "Log and readers")).toContainText("the reader `archive` is paused");
    await send(collector, "--source", "127.0.0.1", "--prefix", PREFIX);
    await expectState(page, "Ledgers", "good");
    await order("resume", "Resume");
    await expect(readers).toContainText("reads");
  });
});

test("a limit that is reached", async ({ page }) => {
  const accepting = (limit: number) => ({
    tables: `[senders]\naccept = ["127.0.1.0/24"]\nacceptLimit = ${limit}\n[[networks.named]]\nprefix = "${PREFIX}"`,
  });
  const collector = new Collector(accepting(1));
  await withStatus(page, collector, async () => {
    await send(collector, "--source", "127.0.1.1", "--prefix", PREFIX);
    await expectState(page, "Limits", "bad");
    await expect(check(page, "Limits")).toContainText("accepted senders: 1 of 1");
    collector.reload(accepting(100));
  });
});
