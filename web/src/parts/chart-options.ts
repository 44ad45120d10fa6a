// How uPlot draws stacked, mirrored areas: what it gets, and its axes. What the numbers mean is left to the pages.
import uPlot from "uplot";
import { clockText, DAY, localText, type Span, zone } from "../times";
import { rounded } from "../units";

type Rates = (number | null)[];
export interface ChartLayer {
  label: string;
  /** The number of its colour; -1 for the others. */
  colour: number;
  in: Rates;
  out: Rates;
}
export interface ChartLine {
  label: string;
  kind: "previous" | "percentile";
  in: Rates;
  out: Rates;
}
export interface Mirrored {
  starts: number[];
  /** The end of the last step. */
  end: number;
  layers: ChartLayer[];
  lines: ChartLine[];
  unit: string;
  /** Without directions: everything is `in`. */
  single?: boolean;
  /** Each layer is a line of its own, because they do not add up. */
  unstacked?: boolean;
}
export interface Colours {
  layers: string[];
  others: string;
  text: string;
  grid: string;
  line: string;
  page: string;
  font: string;
}

export function readColours(element: Element): Colours {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  return {
    layers: Array.from({ length: 20 }, (_, index) => colour(`--layer-${index % 10}`)),
    others: colour("--layer-others"),
    text: colour("--text-soft"),
    grid: colour("--grid"),
    line: colour("--text"),
    page: colour("--panel"),
    font: `12px ${style.fontFamily}`,
  };
}

/** Sums of a layer and all before it. */
export function stacked(layers: Rates[]): Rates[] {
  const sums: Rates[] = [];
  for (const layer of layers) {
    const below = sums.at(-1);
    sums.push(layer.map((value, step) => (value === null ? null : value + (below?.[step] ?? 0))));
  }
  return sums;
}

/** uPlot's columns. The highest sum comes first, so that each layer covers the rest of those above it. */
export function chartData({ starts, end, layers, lines, single, unstacked }: Mirrored): uPlot.AlignedData {
  const negative = (rates: Rates) => rates.map((value) => value && -value);
  const closed = (rates: Rates) => [...rates, rates.at(-1) ?? null];
  const drawn = (rates: Rates[]) => (unstacked ? rates : stacked(rates)).toReversed();
  const up = drawn(layers.map((layer) => layer.in));
  const down = single ? [] : drawn(layers.map((layer) => layer.out));
  // uPlot draws no single step between gaps, and an area without height is none.
  const areas = [...up, ...down.map(negative)].map((rates) => rates.map((value) => value ?? 0));
  const columns = [...areas, ...lines.flatMap((line) => [line.in, negative(line.out)])];
  return [[...starts, end].map((time) => time / 1000), ...columns.map(closed)];
}

interface Use {
  width: number;
  height: number;
  onCursor: (cursor: { step: number; left: number } | null) => void;
  onZoom: (span: Span) => void;
}

export function chartOptions(mirrored: Mirrored, colours: Colours, use: Use): uPlot.Options {
  return {
    width: use.width,
    height: use.height,
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: true, range: (_, min, max) => [min, max] },
      y: { range: (_, min, max) => yRange(min, max) },
    },
    series: [{}, ...areas(mirrored, colours), ...lineSeries(mirrored, colours)],
    axes: axes(colours, mirrored),
    hooks: {
      setCursor: [(chart) => use.onCursor(cursorOf(chart))],
      setSelect: [(chart) => zoomTo(chart, use.onZoom)],
      draw: [(chart) => drawZero(chart, colours)],
    },
  };
}

function areas({ layers, single, unstacked }: Mirrored, colours: Colours): uPlot.Series[] {
  const paths = uPlot.paths.stepped?.({ align: 1 });
  const half = [...layers].reverse().map((layer): uPlot.Series => {
    const fill = layer.colour < 0 ? colours.others : (colours.layers[layer.colour] ?? colours.others);
    const look = unstacked ? { stroke: fill, width: 1.5 } : { fill, stroke: fill, width: 0 };
    return { label: layer.label, ...look, points: { show: false }, ...(paths && { paths }) };
  });
  return single ? half : [...half, ...half.map((series) => ({ ...series }))];
}

function lineSeries({ lines }: Mirrored, colours: Colours): uPlot.Series[] {
  const paths = uPlot.paths.stepped?.({ align: 1 });
  return lines.flatMap((line) => {
    const dash = line.kind === "previous" ? [2, 3] : [8, 4];
    const series: uPlot.Series = {
      label: line.label,
      stroke: colours.line,
      width: 1.25,
      dash,
      points: { show: false },
    };
    return [
      { ...series, ...(paths && { paths }) },
      { ...series, ...(paths && { paths }) },
    ];
  });
}

function axes(colours: Colours, { unit }: Mirrored): uPlot.Axis[] {
  const look = {
    stroke: colours.text,
    font: colours.font,
    grid: { stroke: colours.grid, width: 1 },
    ticks: { show: false },
  };
  return [
    {
      ...look,
      incrs: TIME_STEPS,
      values: (_, splits) => timeLabels(splits),
      label: zone,
      labelFont: colours.font,
      labelSize: 18,
      size: 26,
    },
    {
      ...look,
      values: (_, splits) => splits.map((value) => rounded(Math.abs(value)).trimEnd()),
      size: 62,
      label: unit,
      labelFont: colours.font,
      labelSize: 18,
    },
  ];
}

/** Distances between labels of times, in seconds: no less than a minute, because labels have minutes. */
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60),
  ...[1, 2, 3, 6, 12].map((hours) => hours * 3600),
  ...[1, 2, 3, 5, 7, 10, 15, 30, 60, 90, 180, 365, 730, 1825].map((days) => days * 86_400),
];

/** The date where it changes, otherwise the time of day. */
function timeLabels(splits: number[]): string[] {
  const far = (splits[1] ?? 0) - (splits[0] ?? 0) >= DAY / 1000;
  let day = "";
  return splits.map((seconds) => {
    const [date = "", clock] = [localText(seconds * 1000).slice(5, 10), clockText(seconds * 1000)];
    const shown = far ? date : date === day || day === "" ? clock : date;
    day = date;
    return shown;
  });
}

/** Both halves end a little beyond their largest value. */
function yRange(min: number, max: number): [number, number] {
  const room = Math.max(max - min, 1e-9) * 0.06;
  return [min < 0 ? min - room : 0, max > 0 ? max + room : min < 0 ? 0 : 1];
}

function cursorOf(chart: uPlot): { step: number; left: number } | null {
  const { idx, left } = chart.cursor;
  if (idx === null || idx === undefined || left === undefined || left < 0) return null;
  // uPlot takes the nearest point; a step lasts from its start to the next one.
  const time = chart.posToVal(left, "x");
  const step = (chart.data[0][idx] ?? 0) > time ? idx - 1 : idx;
  const last = chart.data[0].length - 2;
  return { step: Math.max(0, Math.min(last, step)), left: left + chart.bbox.left / devicePixelRatio };
}

function zoomTo(chart: uPlot, onZoom: Use["onZoom"]): void {
  const { left, width } = chart.select;
  if (width < 4) return;
  const at = (x: number) => Math.round(chart.posToVal(x, "x") / 60) * 60_000;
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  const [from, to] = [at(left), at(left + width)];
  if (to > from) onZoom({ from, to });
}

function drawZero(chart: uPlot, colours: Colours): void {
  const y = Math.round(chart.valToPos(0, "y", true)) + 0.5;
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = colours.line;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}
