// The frame: logging in and out, sessions that end, a collector that is not there, keys with less access.
import { PREFIX } from "./support/collector";
import { expect, logIn, rangeOf, test, watched } from "./support/test";

test("wrong keys are refused with the reason", async ({ page, collector }) => {
  await watched(page, collector.page);
  await page.goto(`${collector.page}/web/now`);
  await page.getByLabel("authKey").fill(collector.keys().authKey);
  await page.getByLabel("signKey").fill("wrong");
  await page.getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("alert")).toContainText("wrong signature");
});

test("after a login the page of the URL is shown, and logging out ends it", async ({ page, collector }) => {
  await logIn(page, collector.page, collector.keys(), "/web/status");
  await expect(page.getByRole("heading", { name: "Status" })).toBeVisible();
  await page.getByRole("button", { name: "Log out" }).click();
  await expect(page.getByLabel("signKey")).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("signKey")).toBeVisible();
});

test("the link of netflow web logs in once", async ({ page, collector }) => {
  const problems = await watched(page, collector.page);
  const link = /#ticket=\S+/.exec(await collector.netflow("web"))?.[0];
  await page.goto(`${collector.page}/web/status${link}`);
  await expect(page.getByRole("heading", { name: "Status" })).toBeVisible();
  await expect(page).toHaveURL(`${collector.page}/web/status`);
  await page.context().clearCookies();
  await page.goto("about:blank");
  await page.goto(`${collector.page}/web/status${link}`);
  await expect(page.getByRole("alert")).toContainText("the link was used");
  expect(problems).toEqual([]);
});

test("a session that ends asks for a login, and continues at the same URL", async ({ user, collector }) => {
  const url = `${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto`;
  await user.goto(url);
  await expect(user.locator('[data-row="total"]')).toBeVisible();
  await user.context().clearCookies();
  await user.getByRole("button", { name: "packets/s" }).click();
  await expect(user.getByRole("alert")).toContainText("Your session has ended");
  const { authKey, signKey } = collector.keys();
  await user.getByLabel("authKey").fill(authKey);
  await user.getByLabel("signKey").fill(signKey);
  await user.getByRole("button", { name: "Log in" }).click();
  await expect(user.locator('[data-row="total"]')).toBeVisible();
  await expect(user).toHaveURL(`${url}&unit=packets`);
});

test("a range is typed, and a wrong one is explained", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&last=1h`);
  const from = user.getByLabel("From, in Europe/Berlin");
  await from.fill("some day");
  await from.press("Enter");
  await expect(user.getByRole("alert")).toContainText("“some day” is not a time");
  await from.fill("-2h");
  await from.press("Enter");
  await expect(user).toHaveURL(/from=\d{4}-\d\d-\d\dT\d\d:\d\dZ&to=/);
});

test("an error in a filter is shown at its place", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/flows?filter=net+${PREFIX}+and+prot+6`);
  await expect(user.locator("mark")).toHaveText("prot");
  await expect(user.getByRole("alert")).toContainText("did you mean proto?");
});

test("the page reports an unreachable collector, and continues when it answers", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=proto`);
  await expect(user.locator('[data-row="total"]')).toBeVisible();
  await collector.end();
  await user.getByRole("button", { name: "packets/s" }).click();
  await expect(user.getByText("The collector does not answer. This page shows")).toBeVisible();
  await expect(user.locator('[data-row="total"]')).toBeVisible();
  await collector.serve();
  await expect(user.getByText("The collector does not answer. This page shows")).toHaveCount(0);
  // Sessions end with the collector.
  await expect(user.getByLabel("signKey")).toBeVisible();
});

test("a key that is limited to a router sees nothing else, by URL too", async ({ page, collector }) => {
  await logIn(page, collector.page, collector.limited, "/web/routers");
  await expect(page.locator('[data-router="127.0.0.2"]')).toBeVisible();
  await expect(page.locator('[data-router="127.0.0.1"]')).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Register a router" })).toHaveCount(0);
  await page.goto(`${collector.page}/web/routers/127.0.0.1`);
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(page.locator("main")).not.toContainText(PREFIX);
  await page.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&sender=127.0.0.1&${rangeOf(collector)}`);
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(page.locator("[data-exact]")).toHaveCount(0);
});
