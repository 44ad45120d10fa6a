// Loads what the Traffic page shows: the largest values of both directions, each over time, and the total.
import {
  type Direction,
  isSampled,
  type Point,
  type Remark,
  SAMPLE,
  type Series,
  type Step,
  type Subject,
  seriesPath,
  stepOf,
  type Top,
  topPath,
  wholeSteps,
} from "../../api/counters";
import { get } from "../../api/request";
import { MINUTE, type Span, shifted, spanOf } from "../../times";
import { COUNTERS, type Counters } from "../../units";
import { mergeSteps, others, sum } from "./statistics";
import { SPLITS, type View } from "./view";

type OverTime = (Counters | null)[];
/** A value of the split, or all others, over time in both directions. */
export interface Layer {
  /** The value alone, such as `443`; null for the others. */
  value: string | null;
  /** What it is called, such as `https`. */
  name?: string;
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
  layers: Layer[];
  total: Layer;
  previous?: { in: OverTime; out: OverTime };
  remarks: Remark[];
  /** Whether values may be missing and counters too low. */
  truncated: boolean;
  /** The requests that have the same numbers. */
  requests: string[];
}

interface Chosen {
  value: string;
  name?: string;
}

const directions = (view: View): { in: Direction; out: Direction } =>
  view.local ? { in: "in:local", out: "out:local" } : { in: "in", out: "out" };

export async function loadTraffic(view: View, now: number, abort: AbortSignal): Promise<Traffic> {
  const span = spanOf(view.range, now);
  const step = stepOf(span);
  const subject = { sender: view.sender, prefix: view.prefix ?? "", ...wholeSteps(span, step) };
  const tops = view.only === null ? topPaths(view, subject) : [];
  const answers = await Promise.all(tops.map((path) => get<Top>(path, abort)));
  const chosen = view.only === null ? largest(answers, view) : [{ value: view.only }];
  const parts = await Promise.all(chosen.map((value) => loadLayer(view, subject, step, value, abort)));
  // The total is read last, so that a flush in between cannot make the parts larger than it.
  const allPath = seriesPath(subject, "all", step);
  const [all, previous] = await Promise.all([
    get<Series>(allPath, abort),
    view.previous ? loadPrevious(view, subject, step, abort) : undefined,
  ]);
  return assemble({ view, subject, step, now, all, parts, previous, answers, requests: [...tops, allPath] });
}

function topPaths(view: View, subject: Subject): string[] {
  const { in: inward, out: outward } = directions(view);
  const by = COUNTERS[view.unit];
  // More than are shown, because the sum of both directions decides.
  const n = view.rows * 4;
  return [topPath(subject, SPLITS[view.by].in, inward, n, by), topPath(subject, SPLITS[view.by].out, outward, n, by)];
}

/** The values with the largest sums of both directions. */
export function largest(answers: Top[], view: View): Chosen[] {
  const sums = new Map<string, Chosen & { sum: number }>();
  for (const row of answers.flatMap((answer) => answer.rows)) {
    const value = row.name.slice(row.name.indexOf(":") + 1);
    const entry = sums.get(value) ?? { value, sum: 0 };
    entry.sum += row[COUNTERS[view.unit]];
    const name = Object.values(row.names ?? {})[0];
    if (name) entry.name = name;
    sums.set(value, entry);
  }
  return [...sums.values()].sort((a, b) => b.sum - a.sum).slice(0, view.rows);
}

async function loadLayer(view: View, subject: Subject, step: Step, chosen: Chosen, abort: AbortSignal): Promise<Layer> {
  const split = SPLITS[view.by];
  const { in: inward, out: outward } = directions(view);
  const load = (field: string, direction?: Direction) =>
    get<Series>(seriesPath(subject, `${field}:${chosen.value}`, step, direction), abort);
  if (split.in === split.out) {
    const { points } = await load(split.in);
    return { ...chosen, in: countersOf(points, inward), out: countersOf(points, outward) };
  }
  const [incoming, outgoing] = await Promise.all([load(split.in, inward), load(split.out, outward)]);
  return { ...chosen, in: countersOf(incoming.points, inward), out: countersOf(outgoing.points, outward) };
}

const NOTHING: Counters = { bytes: 0, pkts: 0, flows: 0 };
const countersOf = (points: Point[], direction: Direction): OverTime =>
  points.map(({ counters }) => counters && (counters[direction] ?? NOTHING));

async function loadPrevious(view: View, subject: Subject, step: Step, abort: AbortSignal) {
  const earlier = { ...subject, ...wholeSteps(shifted(subject, -1), step) };
  const { in: inward, out: outward } = directions(view);
  const { points } = await get<Series>(seriesPath(earlier, "all", step), abort);
  return { in: countersOf(points, inward), out: countersOf(points, outward) };
}

interface Loaded {
  view: View;
  subject: Subject;
  step: Step;
  now: number;
  all: Series;
  parts: Layer[];
  previous: { in: OverTime; out: OverTime } | undefined;
  answers: Top[];
  requests: string[];
}

function assemble(loaded: Loaded): Traffic {
  const { view, subject, step, now, all, previous, answers, requests } = loaded;
  const { in: inward, out: outward } = directions(view);
  const merging = merged(subject, step);
  const layers = (layer: Layer): Layer => ({
    ...layer,
    in: mergeSteps(layer.in, merging),
    out: mergeSteps(layer.out, merging),
  });
  const parts = loaded.parts.map(layers);
  const total = layers({ value: null, in: countersOf(all.points, inward), out: countersOf(all.points, outward) });
  const rest: Layer = {
    value: null,
    in: others(
      total.in,
      parts.map((part) => part.in),
    ),
    out: others(
      total.out,
      parts.map((part) => part.out),
    ),
  };
  const starts = all.points.filter((_, index) => index % merging === 0).map((point) => Date.parse(point.start));
  return {
    view,
    subject,
    step,
    starts,
    seconds: secondsOf(starts, subject, now),
    layers: isNothing(rest) ? parts : [...parts, rest],
    total,
    stepText: merging > 1 ? `${merging} minutes` : step === "minute" ? "minutes" : `${step}s of UTC`,
    ...(previous && { previous: { in: mergeSteps(previous.in, merging), out: mergeSteps(previous.out, merging) } }),
    remarks: all.remarks,
    truncated: answers.some((answer) => answer.truncated),
    requests,
  };
}

/** How many minutes are one step of the page. */
const merged = (span: Span, step: Step): number => (step === "minute" && isSampled(span) ? SAMPLE / MINUTE : 1);

const isNothing = (layer: Layer): boolean => sum(layer.in).flows + sum(layer.out).flows === 0;

/** How long each step has lasted: the present one has not ended. */
function secondsOf(starts: number[], span: Span, now: number): number[] {
  return starts.map((start, step) => {
    const end = Math.min(starts[step + 1] ?? span.to, Math.max(now, start + 1000));
    return (end - start) / 1000;
  });
}
