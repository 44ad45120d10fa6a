import { expect, test } from "vitest";
import type { Colours, Mirrored } from "./chart-options";
import { chartSvg, ticks, xml } from "./chart-svg";

const colours: Colours = {
  layers: ["#111111", "#222222"],
  others: "#999999",
  text: "#333333",
  grid: "#eeeeee",
  line: "#000000",
  page: "#ffffff",
  font: "12px sans-serif",
};
const HOSTILE = `</text><script>alert(1)</script>&"\u0000\u202e\ud800`;
const chart: Mirrored = {
  starts: [0, 60_000, 120_000],
  end: 180_000,
  unit: "bit/s",
  layers: [
    { label: "first", colour: 0, in: [10, null, 30], out: [1, 2, 3] },
    { label: HOSTILE, colour: 1, in: [1, 1, 1], out: [0, 0, 0] },
    { label: "x".repeat(4096), colour: -1, in: [1, 1, 1], out: [0, 0, 0] },
  ],
  lines: [{ label: "95th percentile", kind: "percentile", in: [20, 20, 20], out: [2, 2, 2] }],
};

test("an SVG has all layers, their names and the unit", () => {
  const svg = chartSvg(chart, "Traffic", colours);
  for (const part of [
    "#111111",
    "#222222",
    "#999999",
    ">first<",
    ">95th percentile<",
    ">bit/s<",
    "<title>Traffic</title>",
  ]) {
    expect(svg).toContain(part);
  }
  // Three layers up and three down, two lines and zero.
  expect(svg.match(/<path (fill|stroke="#000000")/g)).toHaveLength(9);
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  expect(svg.length).toBeLessThan(10_000);
});

test("names from outside are text, also in XML", () => {
  const svg = chartSvg(chart, HOSTILE, colours);
  expect(svg).not.toContain("<script");
  expect(svg).toContain("&lt;/text&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;\ufffd");
  for (const character of ["<", ">", `"`, "\u0000", "\ud800"]) expect(xml(HOSTILE)).not.toContain(character);
});

test("an empty chart is one, too", () => {
  expect(chartSvg({ ...chart, starts: [], end: 0, layers: [], lines: [] }, "", colours)).not.toMatch(/NaN|undefined/);
});

test("ticks are round numbers", () => {
  expect(ticks(0, 100)).toEqual([0, 20, 40, 60, 80, 100]);
  expect(ticks(-3, 5).map((tick) => Number(tick.toPrecision(6)))).toEqual([-3, -2, -1, 0, 1, 2, 3, 4, 5]);
});
