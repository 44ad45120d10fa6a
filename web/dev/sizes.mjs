// Prints what browsers download, and fails beyond 100 kB: docs/web.md promises it.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const MOST_BYTES = 100_000;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
let total = 0;
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  const bytes = gzipSync(readFileSync(path), { level: 9 }).length;
  total += bytes;
  console.log(`${String(bytes).padStart(7)} bytes gzip  ${path.slice(dist.length)}`);
}
console.log(`${String(total).padStart(7)} bytes gzip  in all, of at most ${MOST_BYTES}`);
if (total > MOST_BYTES) process.exit(1);
