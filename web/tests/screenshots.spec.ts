// Screenshots for the documentation: SCREENSHOTS=directory npm run e2e -- NETFLOW screenshots
import { until } from "./support/collector";
import { sendDay } from "./support/day";
import { expect, test } from "./support/test";

const directory = process.env.SCREENSHOTS;
const OWN = "198.51.100.0/24";
const PAGES = {
  now: "/web/now",
  traffic: `/web/traffic?prefix=${OWN}&last=24h`,
  flows: `/web/flows?filter=net+${OWN}&last=2m&by=srcip,dstport`,
  ways: `/web/flows?filter=net+${OWN}&last=1h&by=srcip,dstport,dstip&show=ways`,
  router: "/web/routers/127.0.0.2",
  billing: `/web/billing?prefix=${OWN}`,
  status: "/web/status",
};

test("screenshots of all pages", async ({ user, collector }) => {
  test.setTimeout(180_000);
  await sendDay("127.0.0.2", collector.udp, [198, 51, 100]);
  await until(async () => {
    const { rows } = await collector.get<{ rows: unknown[] }>(`/top/127.0.0.2?prefix=${OWN}&field=srcip`);
    return rows.length > 0;
  });
  for (const colorScheme of ["light", "dark"] as const) {
    await user.emulateMedia({ colorScheme });
    for (const [name, path] of Object.entries(PAGES)) {
      await user.goto(collector.page + path);
      await expect(user.locator("table, svg.ways").first()).toBeVisible();
      if (["now", "traffic", "flows", "billing"].includes(name)) await expect(user.locator(".uplot")).toBeVisible();
      if (name === "now") await expect(user.getByRole("region", { name: "Routers" })).toContainText("127.0.0.2");
      await user.screenshot({ path: `${directory}/web-${name}-${colorScheme}.png` });
    }
  }
});
