// The range of time of a page: presets, arrows, zoom, and times as people type them.
import { useEffect, useState } from "preact/hooks";
import { bothTexts, localText, parseTime, type Range, scaled, shifted, spanOf, zone } from "../times";
import { Choice } from "./controls";

const PRESETS = ["1h", "6h", "24h", "7d", "30d", "365d"].map((value) => ({
  value,
  text: value === "365d" ? "1y" : value,
  title: `the last ${value}`,
}));

export function RangePicker({ range, onChange }: { range: Range; onChange: (range: Range) => void }) {
  const span = spanOf(range);
  return (
    <div class="range">
      <Choice
        label="Time range"
        value={"last" in range ? range.last : null}
        options={PRESETS}
        onChange={(last) => onChange({ last })}
      />
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be laid out in a row */}
      <div class="choice" role="group" aria-label="Move the time range">
        <button type="button" title="Earlier" aria-label="Earlier" onClick={() => onChange(shifted(span, -1))}>
          ◀
        </button>
        <button type="button" title="Later" aria-label="Later" onClick={() => onChange(shifted(span, 1))}>
          ▶
        </button>
        <button type="button" title="Half as long" aria-label="Zoom in" onClick={() => onChange(scaled(span, 0.5))}>
          +
        </button>
        <button type="button" title="Twice as long" aria-label="Zoom out" onClick={() => onChange(scaled(span, 2))}>
          −
        </button>
      </div>
      <TypedRange range={range} onChange={onChange} />
    </div>
  );
}

function TypedRange({ range, onChange }: { range: Range; onChange: (range: Range) => void }) {
  const span = spanOf(range);
  const [from, setFrom] = useState(localText(span.from));
  const [to, setTo] = useState("last" in range ? "now" : localText(span.to));
  const [problem, setProblem] = useState<string | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: typed text is replaced when another range is shown
  useEffect(() => {
    setFrom(localText(span.from));
    setTo("last" in range ? "now" : localText(span.to));
    setProblem(null);
  }, [JSON.stringify(range)]);
  const submit = (event: Event) => {
    event.preventDefault();
    const read = readTyped(from, to);
    if (typeof read === "string") setProblem(read);
    else onChange(read);
  };
  const title = "2026-11-29 14:00, 14:00, yesterday 14:00, -2h, now; with Z: in UTC";
  return (
    <form class="typed-range" onSubmit={submit}>
      <input
        aria-label={`From, in ${zone}`}
        title={title}
        value={from}
        onInput={(e) => setFrom(e.currentTarget.value)}
      />
      <span aria-hidden="true">–</span>
      <input aria-label={`To, in ${zone}`} title={title} value={to} onInput={(e) => setTo(e.currentTarget.value)} />
      <button type="submit">Show</button>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  );
}

/** The typed range, or what is wrong with it. */
function readTyped(from: string, to: string): Range | string {
  const [first, last] = [parseTime(from), parseTime(to)];
  for (const [text, time] of [
    [from, first],
    [to, last],
  ] as const) {
    if (time === undefined) return `“${text}” is not a time: write 2026-11-29 14:00, yesterday 14:00, -2h or now.`;
  }
  if (first === undefined || last === undefined || first >= last) return "The range ends before it begins.";
  return { from: first, to: last };
}

/** The range in words, in both zones. */
export function RangeText({ from, to }: { from: number; to: number }) {
  return (
    <span class="range-text">
      {bothTexts(from)} – {bothTexts(to)}
    </span>
  );
}
