// For development of the page: serves dist/, and forwards all other requests to a collector, which may have another page.
// Usage: node dev/proxy.mjs COLLECTOR_URL PORT
import { existsSync, readFileSync } from "node:fs";
import { createServer, request as send } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [collector, port] = process.argv.slice(2);
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const types = {
  ".json": "application/json",
  ".js": "text/javascript",
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
};
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; " +
  "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const server = createServer((request, response) => {
  const path = request.url.split("?")[0];
  if (path === "/") return reply(response, 302, "", { location: "/web/now" });
  if (path === "/web" || path.startsWith("/web/")) return file(response, "index.html");
  if (path.startsWith("/assets/")) return file(response, path.slice(1));
  return pass(request, response);
});

/** The request as it is, and its answer while it comes. */
function pass(request, response) {
  const { hostname, port } = new URL(collector);
  const { method, url: path, headers } = request;
  const sent = send({ hostname, port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  sent.on("error", () => response.destroy());
  response.on("close", () => sent.destroy());
  request.pipe(sent);
}

function reply(response, status, content, headers = {}) {
  response.writeHead(status, { "content-security-policy": policy, ...headers }).end(content);
}

function file(response, name) {
  const path = join(dist, name);
  if (!path.startsWith(dist) || !existsSync(path)) return reply(response, 404, "no such file");
  return reply(response, 200, readFileSync(path), {
    "content-type": types[extname(path)] ?? "application/octet-stream",
  });
}

server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));
