// For development and tests of the page with a collector that has another page or none: serves dist/, and forwards requests. If the
// collector has no sessions, it logs in and signs in its place.
// Usage: node dev/proxy.mjs COLLECTOR_URL KEYS_FILE PORT [NETFLOW]
import { execFile } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer, request as send } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [collector, keysFile, port, netflow] = process.argv.slice(2);
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
const keys = Object.fromEntries(
  [...readFileSync(keysFile, "utf8").matchAll(/(authKey|signKey)="?([\w-]+)"?/g)].map(([, name, key]) => [name, key]),
);
const hmac = (text) => createHmac("sha256", keys.signKey).update(text).digest("hex");
const sessions = new Set();
const nonces = new Set();

const hasSessions = (await fetch(`${collector}/session/nonce`)).ok;

const server = createServer(async (request, response) => {
  const path = request.url.split("?")[0];
  if (path === "/") return reply(response, 302, "", { location: "/web/now" });
  if (path === "/web" || path.startsWith("/web/")) return file(response, "index.html");
  if (path.startsWith("/assets/")) return file(response, path.slice(1));
  if (hasSessions) return pass(request, response);
  const body = await bodyOf(request);
  if (path.startsWith("/session")) return session(request, path, body, response);
  if (path !== "/healthz" && !sessions.has(tokenOf(request))) return refuse(response, 401, "log in first");
  if (request.method !== "GET" && request.headers["x-netflow"] !== "1")
    return refuse(response, 403, "X-Netflow is missing");
  if (path === "/doctor") return doctor(response);
  if (path === "/events") return refuse(response, 404, "the proxy has no events");
  return forward(request, body, response);
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

const tokenOf = (request) => /netflow=(\w+)/.exec(request.headers.cookie ?? "")?.[1];

function reply(response, status, content, headers = {}) {
  response.writeHead(status, { "content-security-policy": policy, ...headers }).end(content);
}
const json = (response, status, value, headers) =>
  reply(response, status, JSON.stringify(value), { "content-type": "application/json", ...headers });
const refuse = (response, status, message) => json(response, status, { status: "ERROR", message });

function file(response, name) {
  const path = join(dist, name);
  if (!path.startsWith(dist) || !existsSync(path)) return refuse(response, 404, "no such file");
  return reply(response, 200, readFileSync(path), {
    "content-type": types[extname(path)] ?? "application/octet-stream",
  });
}

function session(request, path, body, response) {
  const who = { authKey: keys.authKey, name: "admin", role: "admin", senders: null };
  if (path === "/session/nonce") {
    const nonce = `login-${randomBytes(32).toString("hex")}`;
    nonces.add(nonce);
    return json(response, 200, { nonce });
  }
  if (request.method === "GET") {
    return sessions.has(tokenOf(request)) ? json(response, 200, who) : refuse(response, 401, "not logged in");
  }
  if (request.method === "DELETE") {
    sessions.delete(tokenOf(request));
    return json(response, 200, { status: "OK" });
  }
  const { authKey, nonce, sign } = JSON.parse(body);
  const known = nonces.delete(nonce) && authKey === keys.authKey && sign === hmac(nonce);
  if (!known) return refuse(response, 401, "unknown authKey or wrong signature");
  const token = randomBytes(16).toString("hex");
  sessions.add(token);
  return json(response, 200, who, { "set-cookie": `netflow=${token}; HttpOnly; SameSite=Strict; Path=/` });
}

function doctor(response) {
  if (!netflow) return refuse(response, 404, "no such path");
  const env = { ...process.env, NETFLOW_URL: collector, NETFLOW_KEYS: keysFile };
  execFile(netflow, ["doctor", "--json", "--all"], { env }, (_, out) =>
    out ? reply(response, 200, out, { "content-type": "application/json" }) : refuse(response, 503, "no findings"),
  );
}

async function forward(request, body, response) {
  const headers = { "x-io-auth": keys.authKey, "x-io-sign": hmac(keys.authKey) };
  if (body.length > 0) headers["x-io-sign"] = hmac(body);
  try {
    const answer = await fetch(collector + request.url, {
      method: request.method,
      headers,
      ...(body.length > 0 && { body }),
    });
    const retry = answer.headers.get("retry-after");
    reply(response, answer.status, Buffer.from(await answer.arrayBuffer()), {
      "content-type": answer.headers.get("content-type") ?? "text/plain",
      ...(retry && { "retry-after": retry }),
    });
  } catch {
    response.destroy();
  }
}

server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}
