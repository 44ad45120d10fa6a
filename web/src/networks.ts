// Which prefixes are within others.
import type { Prefix } from "./api/counters";
import { prefixText } from "./api/counters";

/** The bits of an address as text: 32 or 128 digits. */
function bits(address: string): string {
  if (!address.includes(":"))
    return address
      .split(".")
      .map((part) => binary(Number(part), 8))
      .join("");
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const middle = tail === undefined ? [] : new Array<string>(8 - first.length - last.length).fill("0");
  return [...first, ...middle, ...last].map((group) => binary(Number.parseInt(group, 16), 16)).join("");
}

const binary = (value: number, digits: number): string => value.toString(2).padStart(digits, "0");

/** Whether a prefix contains another one, or is the same. */
export function contains(outer: Prefix, inner: Prefix): boolean {
  const [one, other] = [bits(outer.prefix), bits(inner.prefix)];
  return (
    one.length === other.length &&
    outer.prefixLen <= inner.prefixLen &&
    one.slice(0, outer.prefixLen) === other.slice(0, outer.prefixLen)
  );
}

/** Each prefix once, without those within others: what they count is never the same. */
export function outermost(prefixes: Prefix[]): Prefix[] {
  const single = [...new Map(prefixes.map((prefix) => [prefixText(prefix), prefix])).values()];
  return single.filter((inner) => !single.some((outer) => outer !== inner && contains(outer, inner)));
}
