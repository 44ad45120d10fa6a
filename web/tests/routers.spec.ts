// Routers are registered and removed, and names from outside are text.
import { HOSTILE, PREFIX, TURNED } from "./support/collector";
import { sendFlows } from "./support/day";
import { expect, rangeOf, test } from "./support/test";

test("an unknown sender is registered with one click, and removed after asking back", async ({ user, collector }) => {
  const to = `127.0.0.1:${collector.udp}`;
  await collector.netflow("generate", "--to", to, "--source", "127.0.0.5", "--flows", "30");
  await user.goto(`${collector.page}/web/now`);
  await user.getByRole("button", { name: "Register 127.0.0.5" }).click();
  await user.getByLabel("Prefixes to monitor").fill("203.0.113.7/24");
  await user.getByRole("button", { name: "Register", exact: true }).click();
  await expect(user.getByRole("dialog").getByRole("alert")).toContainText("did you mean 203.0.113.0/24?");
  await user.getByLabel("Prefixes to monitor").fill("203.0.113.0/24");
  await user.getByRole("button", { name: "Register", exact: true }).click();
  await expect(user.getByRole("heading", { name: "127.0.0.5" })).toBeVisible();
  const registered = async () => (await collector.get<{ ip: string }[]>("/senders")).map((sender) => sender.ip);
  expect(await registered()).toContain("127.0.0.5");
  await user.getByRole("button", { name: "Remove", exact: true }).click();
  await user.getByRole("button", { name: "Cancel" }).click();
  expect(await registered()).toContain("127.0.0.5");
  await user.getByRole("button", { name: "Remove", exact: true }).click();
  await user.getByRole("button", { name: "Remove the router" }).click();
  await expect(user).toHaveURL(/\/web\/routers$/);
  expect(await registered()).not.toContain("127.0.0.5");
});

test("a router shows its templates, interfaces and sequence numbers", async ({ user, collector }) => {
  // Flows of no monitored prefix: they change no total of other tests.
  const to = `127.0.0.1:${collector.udp}`;
  const source = ["--source", "127.0.0.1", "--prefix", "10.0.0.0/8"];
  await collector.netflow("generate", "--to", to, "--protocol", "ipfix", ...source, "--flows", "300");
  await user.goto(`${collector.page}/web/routers/127.0.0.1`);
  await expect(user.getByRole("region", { name: "Templates" })).toContainText("sourceIPv4Address");
  await expect(user.getByRole("region", { name: "Streams" })).toContainText("ipfix");
  await expect(user.getByRole("region", { name: "Interfaces" })).toContainText("1.00 Gbit/s");
  await expect(user.getByRole("region", { name: "Networks of flows that match no prefix" })).toContainText("/24");
});

test("hostile names are text", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/routers/127.0.0.1`);
  await expect(user.getByText(HOSTILE)).toBeVisible();
  await expect(user.getByText(TURNED).first()).toBeVisible();
  await user.goto(`${collector.page}/web/traffic?prefix=${PREFIX}&${rangeOf(collector)}&by=own-as`);
  await expect(user.getByText(HOSTILE).first()).toBeVisible();
  // Neither a name nor a URL with markup becomes an element.
  await user.goto(
    `${collector.page}/web/traffic?prefix=${encodeURIComponent(HOSTILE)}&by=proto&only=${encodeURIComponent(HOSTILE)}`,
  );
  await expect(user.getByRole("alert")).toBeVisible();
  await expect(user.locator("img")).toHaveCount(0);
  expect(await user.evaluate(() => "hacked" in window)).toBe(false);
});

test("export connections are shown, and names of certificates and reasons are text", async ({ user, collector }) => {
  const connection = {
    port: 50000,
    listening: "127.0.0.1:4740",
    tls: { version: "1.3", certificateName: HOSTILE },
    since: "2026-11-30T10:00:00Z",
    last: null,
    messages: 7,
    bytes: 9000,
  };
  await user.route(`${collector.page}/exporters/127.0.0.1`, async (route) => {
    const answer = await route.fetch();
    const ended = { ...connection, tls: null, at: "2026-11-30T11:00:00Z", kind: "lost", reason: `lost: ${TURNED}` };
    const json = { ...(await answer.json()), exportConnections: [connection], endedExportConnection: ended };
    await route.fulfill({ response: answer, json });
  });
  await user.goto(`${collector.page}/web/routers/127.0.0.1`);
  const open = user.getByRole("region", { name: "Export connections" });
  await expect(open).toContainText(HOSTILE);
  await expect(open).toContainText("TLS 1.3");
  await expect(open.getByText(TURNED)).toContainText("ended ");
  await user.route(`${collector.page}/status`, async (route) => {
    const answer = await route.fetch();
    const listening = [{ address: "127.0.0.1:4739", tls: false }];
    const refused = [{ address: "127.0.0.9", reason: "unregistered", count: 3, last: "2026-11-30T10:00:00Z" }];
    const exportConnections = { listening, open: 1, limit: 1024, limitPerSender: 16, refused };
    await route.fulfill({ response: answer, json: { ...(await answer.json()), exportConnections } });
  });
  await user.goto(`${collector.page}/web/status`);
  await expect(user.getByText("Accepted at 127.0.0.1:4739; 1 of at most 1,024 are open.")).toBeVisible();
  await expect(user.getByRole("region", { name: "Refused export connections" })).toContainText("is not registered");
  await expect(user.locator("img")).toHaveCount(0);
  expect(await user.evaluate(() => "hacked" in window)).toBe(false);
});

test("the status is green only if all is right", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/status`);
  await expect(user.locator('[data-verdict="good"]')).toBeVisible();
  await user.route(`${collector.page}/status`, async (route) => {
    const answer = await route.fetch();
    const status = await answer.json();
    status.ledgers[0].difference = 1;
    await route.fulfill({ response: answer, json: status });
  });
  await user.reload();
  await expect(user.locator('[data-verdict="bad"]')).toBeVisible();
});

test("what happens now is reported by events, not asked for", async ({ user, collector }) => {
  let asked = 0;
  user.on("request", (request) => {
    if (/\/(exporters|senders|unknown)$/.test(request.url())) asked += 1;
  });
  await user.goto(`${collector.page}/web/now`);
  const row = user.locator('[data-router="127.0.0.1"]');
  await expect(row).toBeVisible();
  const to = `127.0.0.1:${collector.udp}`;
  const flows = ["--source", "127.0.0.1", "--prefix", "10.0.0.0/8", "--rate", "500", "--flows", "2000"];
  await collector.netflow("generate", "--to", to, ...flows);
  await expect(row.locator("[data-flows]")).not.toHaveText(/^(0|–)$/);
  expect(asked).toBe(0);
});

test("bit rates of Now are those of the last flush", async ({ user, collector }) => {
  const router = "127.0.0.6";
  await collector.netflow("senders", "add", router, "198.18.64.0/24");
  await user.goto(`${collector.page}/web/now`);
  const row = user.locator(`[data-router="${router}"]`);
  await expect(row).toBeVisible();
  let sending = true;
  const flows = (async () => {
    while (sending) {
      await sendFlows(router, collector.udp, [198, 18, 64, 7], [1_250_000]);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  try {
    await expect(row.locator("[data-in]")).toHaveText(/^[1-9][\d.]* [kMG]bit\/s$/);
    type Rates = { bitsPerSecond: { in: number; out: number } | null };
    const exporter = await collector.get<Rates>(`/exporters/${router}`);
    expect(exporter.bitsPerSecond?.in).toBeGreaterThan(0);
    expect(exporter.bitsPerSecond?.out).toBe(0);
  } finally {
    sending = false;
    await flows;
  }
  // The next flushes have nothing of it, although its last minute has.
  await expect(row.locator("[data-in]")).toHaveText("0 bit/s");
  await collector.netflow("senders", "remove", router, "--entirely");
});

test("findings have evidence, and lines to type", async ({ user, collector }) => {
  await user.goto(`${collector.page}/web/routers/127.0.0.2`);
  const finding = user.locator('[data-finding="silent"], [data-finding="other_address"]');
  await finding.getByText("127.0.0.2").first().click();
  await expect(finding.locator("code").nth(1)).toBeVisible();
});

test("routers are shown with their names", async ({ user, collector }) => {
  await collector.netflow("senders", "add", "127.0.0.8", "203.0.113.128/25");
  await collector.netflow("senders", "set", "127.0.0.8", "name=edge-8");
  await user.goto(`${collector.page}/web/now`);
  await expect(user.locator('[data-router="127.0.0.8"] .name')).toHaveText("edge-8");
  await user.goto(`${collector.page}/web/routers/127.0.0.8`);
  await expect(user.locator(".heading .name")).toHaveText("edge-8");
  await user.goto(`${collector.page}/web/traffic?prefix=203.0.113.128/25`);
  await expect(user.getByRole("combobox", { name: "Router" }).locator("option", { hasText: "edge-8" })).toHaveCount(1);
  await collector.netflow("senders", "remove", "127.0.0.8", "--entirely");
});
