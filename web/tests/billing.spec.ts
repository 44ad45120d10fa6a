// A bill on paper: what it has to prove is there, and what belongs to the screen is not.
import { PREFIX } from "./support/collector";
import { expect, test } from "./support/test";

interface Bill {
  samples: { count: number; expected: number };
  lost: { shares: { unit: string }[] } | null;
}

test("a bill is printed with its totals, samples and lost share", async ({ user, collector }) => {
  const month = new Date().toISOString().slice(0, 7);
  await user.goto(`${collector.page}/web/billing?prefix=${PREFIX}&sender=127.0.0.1&month=${month}`);
  const statement = user.getByRole("region", { name: "Statement" });
  await expect(statement).toBeVisible();
  await user.emulateMedia({ media: "print", colorScheme: "dark" });
  const { lost, samples } = await collector.get<Bill>(`/billing/127.0.0.1?prefix=${PREFIX}&month=${month}`);
  await expect(statement.locator("[data-samples]")).toBeVisible();
  await expect(statement.locator("[data-samples]")).toContainText(
    `of ${samples.expected.toLocaleString("en")} are known`,
  );
  await expect(statement.locator("[data-lost]")).toBeVisible();
  const unit = lost?.shares[0]?.unit;
  expect(unit).toBeDefined();
  await expect(statement.locator("[data-lost]")).toContainText(new RegExp(`\\d %.* of ${unit}`));
  for (const direction of ["in", "out"] as const) {
    const total = statement.locator(`[data-direction="${direction}"] [data-bytes]`);
    await expect(total).toBeVisible();
    await expect(total).toHaveAttribute("data-bytes", String(collector.total(direction).bytes));
  }
  await expect(user.getByRole("heading", { name: PREFIX })).toBeVisible();
  await expect(user.locator(".method")).toBeVisible();
  await expect(user.getByRole("region", { name: "Chart" })).toBeVisible();
  // Nothing to click.
  await expect(user.getByRole("navigation", { name: "Pages" })).toBeHidden();
  await expect(user.getByRole("button", { name: "Print" })).toBeHidden();
  await expect(user.getByLabel("Month", { exact: true })).toBeHidden();
  await expect(user.locator(".elsewhere")).toBeHidden();
  // Paper is white, also for those whose screen is dark.
  const page = await user.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(Math.min(...(page.match(/\d+/g) ?? ["0"]).slice(0, 3).map(Number))).toBeGreaterThan(200);
  const pdf = await user.pdf({ format: "A4" });
  expect(pdf.subarray(0, 5).toString()).toBe("%PDF-");
  // One page for the prefix of one router.
  expect(pdf.toString("latin1").match(/\/Type\s*\/Page\b(?!s)/g)).toHaveLength(1);
});
