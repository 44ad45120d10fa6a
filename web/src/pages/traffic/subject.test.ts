import { expect, test } from "vitest";
import type { Network, Sender } from "../../api/counters";
import { netOf, selected, sumsOf } from "./subject";

const sender = (ip: string, ...prefixes: string[]): Sender => ({
  ip,
  last: null,
  prefixes: prefixes.map((text) => {
    const [prefix = "", length] = text.split("/");
    return { prefix, prefixLen: Number(length) };
  }),
});
const SENDERS = [sender("192.0.2.1", "10.0.0.0/8", "10.1.0.0/16"), sender("192.0.2.2", "2001:db8::/32")];
const NETWORKS: Network[] = [
  { prefix: "10.1.0.0/16", name: "office", customer: "customer-a", tags: ["office"] },
  { prefix: "2001:db8::/32", customer: "customer-a" },
  { prefix: "198.51.100.0/24", name: "uncounted" },
];

test("all prefixes and words of counted networks can be chosen, each word once", () => {
  expect(sumsOf(SENDERS, NETWORKS).map(({ text }) => text)).toEqual([
    "all prefixes",
    "customer customer-a",
    "network office",
  ]);
  expect(sumsOf([sender("192.0.2.1", "10.0.0.0/8")], NETWORKS)).toEqual([]);
});

test("a selection has the prefixes of its words", () => {
  const of = (selection: string) =>
    SENDERS.map((sender) => selected(selection, sender, NETWORKS).map(({ prefix }) => prefix));
  expect(of("customer-a")).toEqual([["10.1.0.0"], ["2001:db8::"]]);
  expect(of("10.0.0.0/8,office")).toEqual([["10.0.0.0", "10.1.0.0"], []]);
  expect(of("all")).toEqual([["10.0.0.0", "10.1.0.0"], ["2001:db8::"]]);
  expect(of("al")).toEqual([[], []]);
});

test("filters of flows have words as they are, and otherwise outermost prefixes", () => {
  expect(netOf("customer-a", SENDERS, NETWORKS)).toBe("customer-a");
  expect(netOf("10.0.0.0/8", SENDERS, NETWORKS)).toBe("10.0.0.0/8");
  expect(netOf("all", SENDERS, NETWORKS)).toBe("in [10.0.0.0/8, 2001:db8::/32]");
  expect(netOf("10.0.0.0/8,office", SENDERS, NETWORKS)).toBe("10.0.0.0/8");
});
