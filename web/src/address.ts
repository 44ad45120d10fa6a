// The address bar: all state of a page is in its URL, which people share and keep, so its words never change meaning.
import { signal } from "@preact/signals";

/** The URL that is shown. */
export const address = signal(new URL("http://localhost/"));

export function followAddress(): void {
  const read = () => {
    address.value = new URL(window.location.href);
  };
  read();
  window.addEventListener("popstate", read);
}

/** Shows another URL of the page. `replace` leaves no step to go back to. */
export function visit(url: string, replace = false): void {
  if (replace) window.history.replaceState(null, "", url);
  else window.history.pushState(null, "", url);
  const before = address.value.pathname;
  address.value = new URL(window.location.href);
  if (address.value.pathname !== before) window.scrollTo(0, 0);
}

/** A query string that people can read: addresses and times stay as they are. Empty values are left out. */
export function query(parameters: Record<string, string | number | null | undefined>): string {
  const parts = Object.entries(parameters)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => `${name}=${readable(String(value))}`);
  return parts.length > 0 ? `?${parts.join("&")}` : "";
}

function readable(value: string): string {
  return encodeURIComponent(value)
    .replace(/%(2F|3A|2C)/g, (code) => decodeURIComponent(code))
    .replace(/%20/g, "+");
}

/** One of the allowed words, or the first of them. */
export function oneOf<T extends string>(value: string | null, allowed: readonly [T, ...T[]]): T {
  return allowed.find((word) => word === value) ?? allowed[0];
}
