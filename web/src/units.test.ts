import { expect, test } from "vitest";
import { bytesText, exact, percent, rate, rateText, rounded } from "./units";

test("amounts have three digits and a decimal prefix", () => {
  const texts = [0, 7, 999, 1000, 1234, 999_949, 999_950, 1.5e9, 2 ** 64, 0.25].map(rounded);
  expect(texts).toEqual(["0 ", "7 ", "999 ", "1.00 k", "1.23 k", "1.00 M", "1.00 M", "1.50 G", "18.4 E", "0.25 "]);
});

test("a rate is counters over seconds, in bits for bytes", () => {
  const counters = { bytes: 7500, pkts: 60, flows: 6 };
  expect(rate(counters, 60, "bits")).toBe(1000);
  expect(rate(counters, 60, "packets")).toBe(1);
  expect(rate(counters, 60, "flows")).toBe(0.1);
  expect(rateText(1000, "bits")).toBe("1.00 kbit/s");
});

test("exact amounts have all digits", () => {
  expect(exact(7797003484)).toBe("7,797,003,484");
  expect(bytesText(500)).toBe("500 B");
});

test("a share is never rounded to nothing", () => {
  expect([0, 0.0001, 0.123, 1, Number.NaN].map(percent)).toEqual(["0 %", "< 0.1 %", "12.3 %", "100 %", "–"]);
});
