// How fast the page is: SPEED=1 npm run e2e -- NETFLOW speed. It prints figures, and fails if they are far off.
import { until } from "./support/collector";
import { sendDay } from "./support/day";
import { expect, test } from "./support/test";

const OWN = "198.51.100.0/24";
const ROUTERS = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
const REPEATS = 5;

test("a day by minutes with ten values", async ({ user, collector }) => {
  test.setTimeout(600_000);
  for (const router of ROUTERS) {
    if (router !== "127.0.0.2") await collector.netflow("senders", "add", router, OWN);
    await sendDay(router, collector.udp, [198, 51, 100]);
  }
  await until(async () => {
    const path = `/top?sender=all&prefix=${OWN}&field=srcip`;
    return (await collector.get<{ senders: string[] }>(path)).senders.length === ROUTERS.length;
  });
  const pages = {
    "first paint": "/web/traffic",
    "one router": `/web/traffic?prefix=${OWN}&sender=127.0.0.2&last=24h`,
    "three routers": `/web/traffic?prefix=${OWN}&sender=${ROUTERS.join(",")}&last=24h`,
    "all routers": `/web/traffic?prefix=${OWN}&last=24h`,
  };
  for (const [name, path] of Object.entries(pages)) {
    const times: number[] = [];
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      await user.goto("about:blank");
      await user.goto(collector.page + path, { waitUntil: "commit" });
      if (name !== "first paint") await expect(user.locator('[data-row="total"]')).toBeVisible();
      times.push(
        await user.evaluate(async (paint) => {
          if (!paint) return performance.now();
          const first = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
          while (first() === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
          return first() ?? 0;
        }, name === "first paint"),
      );
    }
    const median = times.sort((a, b) => a - b)[Math.floor(REPEATS / 2)] ?? 0;
    console.log(`${name}: ${Math.round(median)} ms (${times.map(Math.round).join(", ")})`);
    expect(median).toBeLessThan(name === "first paint" ? 2000 : 10_000);
  }
});
