// Runs the tests in a browser: npm run e2e -- NETFLOW [arguments of playwright test]
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [netflow, ...rest] = process.argv.slice(2);
if (!netflow) {
  console.error("usage: npm run e2e -- NETFLOW [arguments of playwright test]");
  process.exit(2);
}
const web = fileURLToPath(new URL("../", import.meta.url));
const env = { ...process.env, NETFLOW_BIN: resolve(process.env.INIT_CWD ?? ".", netflow) };
const { status } = spawnSync("node", ["node_modules/@playwright/test/cli.js", "test", ...rest], {
  cwd: web,
  env,
  stdio: "inherit",
});
process.exit(status ?? 1);
