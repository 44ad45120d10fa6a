import { expect, test } from "vitest";
import { parseExact, stringifyExact } from "./exact-json";

test("whole numbers keep all digits", () => {
  const text = '{"bytes":18446744073709551615,"pkts":9007199254740991,"flows":9007199254740993,"n":-9007199254740995}';
  expect(parseExact(text)).toEqual({
    bytes: 18446744073709551615n,
    pkts: 9007199254740991,
    flows: 9007199254740993n,
    n: -9007199254740995n,
  });
  expect(stringifyExact(parseExact(text))).toBe(text);
});

test("fractions, texts and short numbers are what JSON.parse makes of them", () => {
  for (const value of [
    { share: 0.12345678901234568, large: 1.25e25, small: 1e-7, list: [1, 2, null, true] },
    { name: "9007199254740993", other: 'a\\"9007199254740993', "9007199254740993": 12345678901234567890n.toString() },
    "18446744073709551615",
  ]) {
    const text = JSON.stringify(value);
    expect(parseExact(text)).toEqual(value);
    expect(stringifyExact(value)).toBe(text);
  }
});

test("what is no JSON is refused", () => {
  for (const text of ["", "{", "[9007199254740993", '{"a":9007199254740993,}']) {
    expect(() => parseExact(text)).toThrow(SyntaxError);
  }
});
