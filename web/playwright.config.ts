// Tests in a browser, against a collector that each worker starts: npm run e2e -- NETFLOW
import { defineConfig } from "@playwright/test";

const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export default defineConfig({
  testDir: "tests",
  testMatch: "*.spec.ts",
  // These make pictures and figures, and run only when they are asked for.
  testIgnore: [
    ...(process.env.SCREENSHOTS ? [] : ["screenshots.spec.ts"]),
    ...(process.env.SPEED ? [] : ["speed.spec.ts"]),
  ],
  workers: 1,
  // Questions about flows give way to whatever else needs the processors: beside a busy machine they take long.
  timeout: 600_000,
  expect: { timeout: 120_000 },
  reporter: "list",
  outputDir: "test-results",
  use: {
    launchOptions: { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args },
    timezoneId: "Europe/Berlin",
    viewport: { width: 1400, height: 900 },
  },
});
