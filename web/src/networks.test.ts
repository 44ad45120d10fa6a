import { expect, test } from "vitest";
import { contains, outermost } from "./networks";

const prefix = (text: string) => ({ prefix: text.split("/")[0] ?? "", prefixLen: Number(text.split("/")[1]) });

test("a prefix contains what begins with its bits", () => {
  expect(contains(prefix("10.0.0.0/8"), prefix("10.1.0.0/16"))).toBe(true);
  expect(contains(prefix("10.1.0.0/16"), prefix("10.0.0.0/8"))).toBe(false);
  expect(contains(prefix("2001:db8::/32"), prefix("2001:db8:1::/48"))).toBe(true);
  expect(contains(prefix("::/0"), prefix("10.0.0.0/8"))).toBe(false);
  expect(contains(prefix("0.0.0.0/0"), prefix("10.0.0.0/8"))).toBe(true);
});

test("nothing is added up twice", () => {
  const all = ["10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"].map(prefix);
  expect(outermost(all).map(({ prefix }) => prefix)).toEqual(["10.0.0.0", "192.0.2.0", "2001:db8::"]);
});
