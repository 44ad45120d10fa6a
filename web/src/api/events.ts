// Events of the collector (GET /events). The browser connects again by itself; a collector without events is reported once.
import { parseExact } from "./exact-json";
import { get, loggedOut, waitForCollector } from "./request";

/** `unavailable`: this collector or this key has no events. */
export type ListenState = "connecting" | "open" | "unavailable";

/** Calls `onEvent` for each event; the first of a connection has everything. Returns what ends it. */
export function listen<T>(
  onEvent: (event: T, isFirst: boolean) => void,
  onState: (state: ListenState) => void,
): () => void {
  const source = new EventSource("/events");
  let isFirst = true;
  source.addEventListener("now", (message) => {
    onEvent(parseExact<T>(message.data), isFirst);
    isFirst = false;
  });
  source.addEventListener("open", () => {
    isFirst = true;
    onState("open");
  });
  source.addEventListener("ended", () => {
    source.close();
    loggedOut.value = true;
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) {
      onState("unavailable");
      // A refusal has no status here: this request shows whether the session has ended.
      get("/session").catch(() => undefined);
    } else {
      onState("connecting");
      checkCollector();
    }
  });
  return () => source.close();
}

/** A connection that ends is no news; a collector that does not answer is. */
async function checkCollector(): Promise<void> {
  await fetch("/healthz", { cache: "no-store" }).catch(waitForCollector);
}
