// Loads what the Traffic page shows: the largest values of both directions over time, all others, and the total.
import {
  type Direction,
  isSampled,
  type Parts,
  type Remark,
  SAMPLE,
  type Series,
  type SplitRow,
  type SplitSeries,
  type Step,
  type Subject,
  seriesPath,
  splitPath,
  stepOf,
  wholeSteps,
} from "../../api/counters";
import { get } from "../../api/request";
import { MINUTE, type Span, shifted, spanOf } from "../../times";
import { COUNTERS, type Counters } from "../../units";
import { mergeSteps, sum } from "./statistics";
import { SPLITS, type View } from "./view";

type OverTime = (Counters | null)[];
/** A value of the split, or all others, over time in both directions. */
export interface Layer {
  /** The value alone, such as `443`; null for the others. */
  value: string | null;
  /** What it is called, such as `https`. */
  name?: string;
  /** Of an interface, in bit/s. */
  speed?: number;
  in: OverTime;
  out: OverTime;
}
export interface Traffic {
  view: View;
  subject: Subject;
  step: Step;
  /** The steps in words. */
  stepText: string;
  /** The start of each step, and how long it has lasted. */
  starts: number[];
  seconds: number[];
  /** How many of the steps have ended. */
  ended: number;
  layers: Layer[];
  total: Layer;
  previous?: { in: OverTime; out: OverTime };
  remarks: Remark[];
  /** Whether values may be missing and counters too low. */
  truncated: boolean;
  /** The requests that have the same numbers. */
  requests: string[];
}

const directions = (view: View): { in: Direction; out: Direction } =>
  view.local ? { in: "in:local", out: "out:local" } : { in: "in", out: "out" };

export async function loadTraffic(view: View, now: number, abort: AbortSignal): Promise<Traffic> {
  const span = spanOf(view.range, now);
  const step = stepOf(span);
  const subject = { sender: view.sender, prefix: view.prefix ?? "", ...wholeSteps(span, step) };
  const { in: inward, out: outward } = directions(view);
  const chosen = view.only === null ? { n: view.rows, by: COUNTERS[view.unit] } : { values: view.only };
  const request = splitPath(subject, SPLITS[view.by].field, step, `${inward},${outward}`, chosen);
  const [answer, previous] = await Promise.all([
    get<SplitSeries>(request, abort),
    view.previous ? loadPrevious(view, subject, step, abort) : undefined,
  ]);
  return assemble({ view, subject, step, now, answer, previous, request });
}

const NOTHING: Counters = { bytes: 0, pkts: 0, flows: 0 };

async function loadPrevious(view: View, subject: Subject, step: Step, abort: AbortSignal) {
  const earlier = { ...subject, ...wholeSteps(shifted(subject, -1), step) };
  const { in: inward, out: outward } = directions(view);
  const request = seriesPath(earlier, "all", step, `${inward},${outward}`);
  const { points } = await get<Series>(request, abort);
  const of = (direction: Direction) => points.map(({ counters }) => counters && (counters[direction] ?? NOTHING));
  return { in: of(inward), out: of(outward), request };
}

interface Loaded {
  view: View;
  subject: Subject;
  step: Step;
  now: number;
  answer: SplitSeries;
  previous: { in: OverTime; out: OverTime; request: string } | undefined;
  request: string;
}

function assemble({ view, subject, step, now, answer, previous, request }: Loaded): Traffic {
  const merging = merged(subject, step);
  const layerOf = layersOf(answer, view, merging);
  const parts = answer.rows.map((row, index) => ({
    value: row.name.slice(row.name.indexOf(":") + 1),
    ...named(row),
    ...layerOf((counters) => counters.rows[index] ?? NOTHING),
  }));
  const rest = { value: null, ...layerOf((counters) => sum([counters.rest, counters.other])) };
  const starts = answer.points.filter((_, index) => index % merging === 0).map((point) => Date.parse(point.start));
  return {
    view,
    subject,
    step,
    starts,
    seconds: secondsOf(starts, subject, now),
    ended: starts.filter((_, step) => (starts[step + 1] ?? subject.to) <= now).length,
    layers: isNothing(rest) ? parts : [...parts, rest],
    total: { value: null, ...layerOf((counters) => sum([counters])) },
    stepText: merging > 1 ? `${merging} minutes` : step === "minute" ? "minutes" : `${step}s of UTC`,
    ...(previous && { previous: { in: mergeSteps(previous.in, merging), out: mergeSteps(previous.out, merging) } }),
    remarks: answer.remarks,
    truncated: answer.points.some((point) => Object.values(point.counters ?? {}).some((parts) => parts.truncated)),
    requests: [request, ...(previous ? [previous.request] : [])],
  };
}

/** What a value is called, and how fast an interface is. */
function named({ names, interfaces }: SplitRow): { name?: string; speed?: number } {
  const name = Object.values(names ?? {})[0];
  const speed = interfaces?.at(-1)?.speed;
  return { ...(name && { name }), ...(speed && { speed }) };
}

/** Takes a part of each step in both directions. */
function layersOf({ points }: SplitSeries, view: View, merging: number) {
  const ways = directions(view);
  const over = (direction: Direction, of: (parts: Parts) => Counters) =>
    mergeSteps(
      points.map(({ counters }) => {
        const parts = counters?.[direction];
        return parts ? of(parts) : counters && NOTHING;
      }),
      merging,
    );
  return (of: (parts: Parts) => Counters) => ({ in: over(ways.in, of), out: over(ways.out, of) });
}

/** How many minutes are one step of the page. */
const merged = (span: Span, step: Step): number => (step === "minute" && isSampled(span) ? SAMPLE / MINUTE : 1);

const isNothing = (layer: Layer): boolean => Number(sum(layer.in).flows) + Number(sum(layer.out).flows) === 0;

/** How long each step has lasted: the present one has not ended. */
function secondsOf(starts: number[], span: Span, now: number): number[] {
  return starts.map((start, step) => {
    const end = Math.min(starts[step + 1] ?? span.to, Math.max(now, start + 1000));
    return (end - start) / 1000;
  });
}
