// Charts as SVG files: the same data as on the page, with axes and a legend, in its colours.
import { clockText, DAY, localText, zone } from "../times";
import { rounded } from "../units";
import { type Colours, chartData, type Mirrored } from "./chart-options";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [1100, 380, 80, 20, 40, 46];
const ROW = 20;
const LONGEST_LABEL = 120;

/** The charts of the page, by their frames. */
export const drawnCharts = new WeakMap<Element, { mirrored: Mirrored; label: string; colours: Colours }>();

/** Text as XML has it: markup of names from outside is text, and characters that XML does not allow are left out. */
export function xml(text: string): string {
  return (
    text
      .replace(/\p{Surrogate}/gu, "\ufffd")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML does not allow them
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
  );
}

/** Numbers between which there is a round distance, about ten of them. */
export function ticks(min: number, max: number): number[] {
  const rough = Math.max(max - min, Number.MIN_VALUE) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const distance = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? rough;
  const [first, last] = [Math.ceil(min / distance), Math.floor(max / distance)];
  return Array.from({ length: Math.max(0, Math.min(20, last - first + 1)) }, (_, index) => (first + index) * distance);
}

const HOURS = [1 / 60, 1 / 12, 1 / 4, 1 / 2, 1, 2, 3, 6, 12, 24, 48, 168, 720, 2160, 8760];

/** Times of the browser's zone between which there is a round distance. */
function timeTicks(from: number, to: number): number[] {
  const distance = (HOURS.find((hours) => hours * 3_600_000 >= (to - from) / 9) ?? 17_520) * 3_600_000;
  const offset = new Date(from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - offset) / distance) * distance + offset;
  return Array.from({ length: Math.floor((to - first) / distance) + 1 }, (_, index) => first + index * distance);
}

interface Scales {
  x: (time: number) => number;
  y: (value: number) => number;
}

export function chartSvg(mirrored: Mirrored, label: string, colours: Colours): string {
  const [times, ...columns] = chartData(mirrored);
  const [from, to] = [times[0] ?? 0, times.at(-1) ?? 1];
  const values = columns.flatMap((column) => [...column].filter((value) => value !== null && value !== undefined));
  const [min, max] = values.reduce((ends, value) => [Math.min(ends[0], value), Math.max(ends[1], value)], [0, 0] as [
    number,
    number,
  ]);
  const size = Math.max(max - min, 1e-9);
  const y = (value: number) => TOP + ((max - value) / size) * (HEIGHT - TOP - BOTTOM);
  const x = (time: number) => LEFT + ((time - from) / Math.max(to - from, 1)) * (WIDTH - LEFT - RIGHT);
  const scales: Scales = { x, y };
  const half = mirrored.layers.length;
  const areas = mirrored.single ? half : 2 * half;
  const shapes = columns.map((column, index) => {
    const points = steps(times, column, scales);
    const layer = mirrored.layers[half - 1 - (index % Math.max(1, half))];
    if (index >= areas) return lineOf(points, colours.line, mirrored.lines[(index - areas) >> 1]?.kind === "previous");
    const colour = layer && layer.colour >= 0 ? (colours.layers[layer.colour] ?? colours.others) : colours.others;
    if (mirrored.unstacked) return lineOf(points, colour, false);
    const zero = y(0).toFixed(1);
    return `<path fill="${xml(colour)}" d="${points.map((path) => `M${x(path.from)} ${zero}L${path.text}L${x(path.to)} ${zero}Z`).join("")}"/>`;
  });
  const legend = legendOf(mirrored, colours);
  const height = HEIGHT + legend.rows * ROW;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<title>${xml(label)}</title><rect width="${WIDTH}" height="${height}" fill="${xml(colours.page)}"/>`,
    `<text x="${LEFT}" y="20" fill="${xml(colours.line)}" font-size="14">${xml(shortened(label))}</text>`,
    ...axesOf(from, to, [min, max], mirrored.unit, scales, colours),
    ...shapes,
    `<path stroke="${xml(colours.line)}" d="M${LEFT} ${y(0).toFixed(1)}H${WIDTH - RIGHT}"/>`,
    legend.text,
    "</svg>\n",
  ].join("\n");
}

interface Path {
  from: number;
  to: number;
  text: string;
}

/** A value lasts until the next time; gaps divide a line. */
function steps(times: ArrayLike<number>, column: ArrayLike<number | null | undefined>, { x, y }: Scales): Path[] {
  const paths: Path[] = [];
  let open: { from: number; points: string[] } | null = null;
  for (let index = 0; index + 1 < times.length; index += 1) {
    const [value, begin, end] = [column[index], times[index] ?? 0, times[index + 1] ?? 0];
    if (value === null || value === undefined) {
      open = null;
      continue;
    }
    if (!open) {
      open = { from: begin, points: [] };
      paths.push({ from: begin, to: end, text: "" });
    }
    open.points.push(`${x(begin).toFixed(1)} ${y(value).toFixed(1)}`, `${x(end).toFixed(1)} ${y(value).toFixed(1)}`);
    paths[paths.length - 1] = { from: open.from, to: end, text: open.points.join("L") };
  }
  return paths;
}

const lineOf = (points: Path[], colour: string, dotted: boolean): string =>
  `<path fill="none" stroke="${xml(colour)}" stroke-width="1.25" stroke-dasharray="${dotted ? "2 3" : "none"}" d="${points.map((path) => `M${path.text}`).join("")}"/>`;

function axesOf(
  from: number,
  to: number,
  [min, max]: [number, number],
  unit: string,
  { x, y }: Scales,
  colours: Colours,
): string[] {
  const text = (attributes: string, content: string) =>
    `<text fill="${xml(colours.text)}" ${attributes}>${xml(content)}</text>`;
  const grid = (path: string) => `<path stroke="${xml(colours.grid)}" d="${path}"/>`;
  const far = (to - from) * 1000 > 3 * DAY;
  return [
    ...ticks(min, max).flatMap((value) => [
      grid(`M${LEFT} ${y(value).toFixed(1)}H${WIDTH - RIGHT}`),
      text(
        `x="${LEFT - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end"`,
        rounded(Math.abs(Number(value.toPrecision(6)))).trimEnd(),
      ),
    ]),
    ...timeTicks(from * 1000, to * 1000).flatMap((time) => [
      grid(`M${x(time / 1000).toFixed(1)} ${TOP}V${HEIGHT - BOTTOM}`),
      text(
        `x="${x(time / 1000).toFixed(1)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle"`,
        far ? localText(time).slice(5, 10) : clockText(time),
      ),
    ]),
    text(`x="${LEFT}" y="${TOP - 6}" text-anchor="end"`, unit),
    text(
      `x="${(LEFT + WIDTH) / 2}" y="${HEIGHT - BOTTOM + 34}" text-anchor="middle"`,
      `${localText(from * 1000)} – ${localText(to * 1000)} ${zone}`,
    ),
  ];
}

function legendOf(mirrored: Mirrored, colours: Colours): { rows: number; text: string } {
  const entries = [
    ...mirrored.layers.map(({ label, colour }) => ({
      label,
      colour: colour < 0 ? colours.others : (colours.layers[colour] ?? colours.others),
    })),
    ...mirrored.lines.map(({ label }) => ({ label, colour: colours.line })),
  ];
  const width = (WIDTH - LEFT - RIGHT) / 2;
  const text = entries.map(({ label, colour }, index) => {
    const [left, top] = [LEFT + (index % 2) * width, HEIGHT + Math.floor(index / 2) * ROW];
    return `<rect x="${left}" y="${top}" width="10" height="10" fill="${xml(colour)}"/><text x="${left + 16}" y="${top + 10}" fill="${xml(colours.line)}" direction="ltr" unicode-bidi="isolate">${xml(shortened(label, 70))}</text>`;
  });
  return { rows: Math.ceil(entries.length / 2), text: text.join("\n") };
}

const shortened = (text: string, most = LONGEST_LABEL): string =>
  [...text].length > most ? `${[...text].slice(0, most - 1).join("")}…` : text;

const COPIED = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-opacity",
  "stroke-width",
  "font-size",
  "text-anchor",
  "unicode-bidi",
];

/** An SVG of the page as a file of its own, with the colours that it has there. */
export function elementSvg(element: SVGSVGElement): string {
  const copy = element.cloneNode(true) as SVGSVGElement;
  const originals = [element, ...element.querySelectorAll("*")];
  for (const [index, part] of [copy, ...copy.querySelectorAll("*")].entries()) {
    const original = originals[index];
    if (!original || !("style" in part)) continue;
    const style = getComputedStyle(original);
    for (const name of COPIED) part.setAttribute(name, style.getPropertyValue(name));
    part.removeAttribute("class");
  }
  const { x, y, width, height } = element.viewBox.baseVal;
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  copy.setAttribute("font-family", "sans-serif");
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ x, y, width, height })) ground.setAttribute(name, String(value));
  ground.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
  copy.prepend(ground);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML does not allow them
  return new XMLSerializer().serializeToString(copy).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, "\ufffd");
}
