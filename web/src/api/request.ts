// Requests to the REST interface, and whether the collector is reachable. What the answers mean is left to other files.
import { signal } from "@preact/signals";
import { parseExact } from "./exact-json";

/** An answer that is an error; the message of the collector has the fix. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Whether the collector answers. */
export const reachable = signal(true);
/** How often it became reachable again: queries depend on it, so they repeat. */
export const reconnections = signal(0);
/** Whether a request was refused because nobody is logged in. */
export const loggedOut = signal(false);

type Method = "GET" | "POST" | "PUT" | "DELETE";
const RETRY_MS = 2000;
const MOST_ATTEMPTS = 4;

/** The text of the answer. */
export async function requestText(method: Method, path: string, body?: unknown, abort?: AbortSignal): Promise<string> {
  return (await accepted(method, path, body, abort)).text();
}

/** The answer, when it is none that refuses. */
async function accepted(method: Method, path: string, body?: unknown, abort?: AbortSignal): Promise<Response> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await send(method, path, body, abort);
    if (response.ok) return response;
    const text = await response.text();
    const seconds = response.headers.get("Retry-After");
    if (response.status === 503 && seconds !== null && method === "GET" && attempt < MOST_ATTEMPTS) {
      await pause(Number(seconds) * 1000, abort);
      continue;
    }
    if (response.status === 401) loggedOut.value = true;
    throw new ApiError(response.status, messageOf(text) ?? `the collector answered ${response.status}`);
  }
}

/** The answer as the type that the REST interface documents for this path; whole numbers beyond 2^53 are bigint. */
export async function request<T>(method: Method, path: string, body?: unknown, abort?: AbortSignal): Promise<T> {
  return parseExact<T>(await requestText(method, path, body, abort));
}

export const get = <T>(path: string, abort?: AbortSignal): Promise<T> => request<T>("GET", path, undefined, abort);

/** Calls back with each line of an answer, as it arrives. */
export async function getLines(path: string, onLine: (line: string) => void, abort: AbortSignal): Promise<void> {
  const { body } = await accepted("GET", path, undefined, abort);
  if (!body) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      if (abort.aborted) throw error;
      throw unreachable();
    });
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
}

function unreachable(): ApiError {
  waitForCollector();
  return new ApiError(0, "The collector does not answer. This page continues when it does.");
}

async function send(method: Method, path: string, body: unknown, abort?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method, credentials: "same-origin", cache: "no-store" };
  if (method !== "GET") init.headers = { "X-Netflow": "1" };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (abort) init.signal = abort;
  try {
    return await fetch(path, init);
  } catch (error) {
    if (abort?.aborted) throw error;
    throw unreachable();
  }
}

function messageOf(text: string): string | undefined {
  try {
    const { message, reasons } = JSON.parse(text) as { message?: unknown; reasons?: unknown };
    // A collector that is not ready has reasons.
    if (Array.isArray(reasons)) return reasons.join("; ");
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

function pause(ms: number, abort?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    abort?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(abort.reason);
    });
  });
}

/** Asks until the collector answers, then lets all queries repeat. */
export function waitForCollector(): void {
  if (!reachable.value) return;
  reachable.value = false;
  const ask = async () => {
    const answers = await fetch("/healthz", { cache: "no-store" }).then(
      (response) => response.ok,
      () => false,
    );
    if (!answers) {
      setTimeout(ask, RETRY_MS);
      return;
    }
    reachable.value = true;
    reconnections.value += 1;
  };
  setTimeout(ask, RETRY_MS);
}
