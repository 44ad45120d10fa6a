// The Flows page: flows of the archive under one filter, grouped over time, as ways, or one by one.
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { address, visit } from "../../address";
import { useAnswer } from "../../api/answer";
import { stringifyExact } from "../../api/exact-json";
import { ChartFiles } from "../../parts/chart-files";
import { Choice, Select } from "../../parts/controls";
import { csv, save } from "../../parts/download";
import { Elsewhere, word } from "../../parts/elsewhere";
import { ErrorNotice, Loading, Notice } from "../../parts/notice";
import { RangePicker } from "../../parts/range-picker";
import { bothTexts, type Span, spanOf } from "../../times";
import type { Coverage, GroupsAnswer, RowsAnswer, TopAnswer } from "./answers";
import { FilterBox } from "./filter-box";
import { Groups } from "./groups";
import { Hours, HoursControls } from "./hours";
import { type Progress, partText, readInLines, readText } from "./reading";
import { Rows } from "./rows";
import { flowsUrl, GROUPS, narrowed, readView, requestOf, type Shown, SUMS, type View } from "./view";
import { Ways } from "./ways";
import { placeOf } from "./words";

type AnyAnswer = GroupsAnswer | TopAnswer | RowsAnswer;
interface Loaded {
  path: string;
  view: View;
  span: Span;
  answer: AnyAnswer;
  /** Whether it is about the newest part of the time only. */
  isPart: boolean;
}

export function FlowsPage() {
  const view = readView(address.value.searchParams);
  const progress = useSignal<Progress | null>(null);
  const loaded = useAnswer<Loaded>(flowsUrl(view), async (abort, onPart) => {
    progress.value = null;
    const [path, span] = [requestOf(view, Date.now()), spanOf(view.range)];
    const shown = (answer: AnyAnswer, isPart: boolean) => ({ path, view, span, answer, isPart });
    return shown(
      await readInLines<AnyAnswer>(
        path,
        (read) => {
          progress.value = read;
        },
        (part) => onPart(shown(part, true)),
        abort,
      ),
      false,
    );
  });
  const change = (changes: Partial<View>) => visit(flowsUrl({ ...view, cursor: null, ...changes }));
  const elsewhere = loaded.error && !placeOf(loaded.error.message) ? loaded.error : undefined;
  return (
    <>
      <h1 class="visually-hidden">Flows</h1>
      <div class="panel controls-panel">
        <FilterBox filter={view.filter} error={loaded.error} onChange={(filter) => change({ filter })} />
        <FlowControls view={view} onChange={change} />
        <RangePicker range={view.range} onChange={(range) => change({ range })} />
      </div>
      <ErrorNotice error={elsewhere} />
      {loaded.loading && (
        <Reading
          progress={progress}
          part={loaded.value?.isPart ? loaded.value : undefined}
          view={view}
          onStop={loaded.stop}
        />
      )}
      {loaded.stopped && (
        <Notice kind="warning">
          Stopped.{" "}
          {loaded.value?.isPart
            ? `Shown is ${partText(loaded.value.answer.from, loaded.value.answer.to)} of the time.`
            : ""}
        </Notice>
      )}
      {loaded.value && !loaded.error ? <FlowsAnswer loaded={loaded.value} onChange={change} /> : null}
      {!loaded.value && loaded.loading && <Loading />}
    </>
  );
}

interface ReadingProps {
  progress: ReadonlySignal<Progress | null>;
  part: Loaded | undefined;
  view: View;
  onStop: (() => void) | undefined;
}

/** How far the answer is; a part of it may be shown already. */
function Reading({ progress: { value: progress }, part, view, onStop }: ReadingProps) {
  const { from, to } = part?.span ?? spanOf(view.range);
  return (
    <p class="actions reading" role="status">
      Reading the archive …{" "}
      {progress && (
        <>
          <progress max={100} value={progress.percent} aria-label="Read" />
          <span>{readText(progress, part?.answer.from, from, to)}</span>
        </>
      )}
      {part && <span>Shown is {partText(part.answer.from, part.answer.to)}.</span>}
      <button type="button" onClick={onStop}>
        Stop
      </button>
    </p>
  );
}

const SHOWN_TEXTS: { value: Shown; text: string; title: string }[] = [
  { value: "groups", text: "groups", title: "Groups over time" },
  { value: "ways", text: "ways", title: "From column to column, as a Sankey diagram" },
  { value: "hours", text: "hours", title: "Hours of the day, as a heat map" },
  { value: "rows", text: "flows", title: "Flows one by one" },
];
const GROUPINGS = [
  "srcip,dstip",
  "srcip",
  "dstip",
  "srcip,dstport,dstip",
  "dstport",
  "proto,dstport",
  "srcas,dstas",
  "inif,outif",
  "srcip/24",
  "dstip/24",
  "exporter",
];

function FlowControls({ view, onChange }: { view: View; onChange: (change: Partial<View>) => void }) {
  return (
    <div class="controls">
      <Choice label="Shown" value={view.shown} options={SHOWN_TEXTS} onChange={(shown) => onChange({ shown })} />
      {view.shown !== "rows" && view.shown !== "hours" && (
        <>
          <Grouping by={view.by} onChange={(by) => onChange({ by })} />
          <datalist id="groupings">
            {GROUPINGS.map((columns) => (
              <option key={columns} value={columns} />
            ))}
          </datalist>
          <Select
            label="Groups"
            value={String(view.groups)}
            options={GROUPS.map((value) => ({ value: String(value), text: String(value) }))}
            onChange={(groups) => onChange({ groups: Number(groups) })}
          />
        </>
      )}
      {view.shown !== "rows" && (
        <Select
          label={view.shown === "hours" ? "By" : "Largest by"}
          value={view.sum}
          options={SUMS.map((value) => ({ value, text: value }))}
          onChange={(sum) => onChange({ sum })}
        />
      )}
      {view.shown === "hours" && <HoursControls view={view} onChange={onChange} />}
      {view.exporter && (
        <button type="button" onClick={() => onChange({ exporter: null })}>
          Router {view.exporter}: show all
        </button>
      )}
    </div>
  );
}

function FlowsAnswer({ loaded, onChange }: { loaded: Loaded; onChange: (change: Partial<View>) => void }) {
  const { view, answer, path } = loaded;
  const shown = useRef<HTMLDivElement>(null);
  return (
    <>
      <CoverageNotice coverage={answer.coverage} view={view} />
      <div ref={shown}>
        <Answer loaded={loaded} onChange={onChange} />
      </div>
      <p class="actions">
        <button type="button" onClick={() => save("flows.csv", csvOf(answer), "text/csv")}>
          CSV
        </button>
        <button type="button" onClick={() => save("flows.json", stringifyExact(answer, 1), "application/json")}>
          JSON
        </button>
        {view.shown !== "rows" && <ChartFiles name="flows" within={shown} />}
      </p>
      <Elsewhere same={[{ request: path, command: commandOf(path) }]} />
    </>
  );
}

/** The columns by which flows are grouped: what is being typed stays while answers arrive. */
function Grouping({ by, onChange }: { by: string; onChange: (by: string) => void }) {
  const [text, setText] = useState(by);
  useEffect(() => setText(by), [by]);
  return (
    <label class="field">
      <span class="field-label">Group by columns</span>
      <input
        value={text}
        list="groupings"
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
        onChange={(event) => onChange(event.currentTarget.value.replaceAll(" ", ""))}
      />
    </label>
  );
}

function Answer({ loaded, onChange }: { loaded: Loaded; onChange: (change: Partial<View>) => void }) {
  const { view, span, answer, isPart } = loaded;
  const from = isPart ? span.from : Date.parse(answer.from);
  if ("columns" in answer) return <Rows answer={answer} isPart={isPart} onNext={(cursor) => onChange({ cursor })} />;
  if (!("steps" in answer)) return <Hours answer={answer} view={view} from={from} />;
  if (view.shown === "ways") return <Ways answer={answer} sum={view.sum} />;
  return (
    <Groups
      answer={answer}
      from={from}
      sum={view.sum}
      onPick={(column, value) => onChange({ filter: narrowed(view.filter, column, value) })}
      onZoom={(range) => onChange({ range })}
    />
  );
}

function CoverageNotice({ coverage, view }: { coverage: Coverage; view: View }) {
  const since = coverage.since && Date.parse(coverage.since);
  const missing = coverage.missing.length + coverage.leftOut.length;
  return (
    <>
      {since && since > spanOf(view.range).from + 60_000 ? (
        <Notice kind="remark">The archive has flows since {bothTexts(since)}.</Notice>
      ) : null}
      {missing > 0 && (
        <Notice kind="warning">
          Flows of this time are missing in the archive: {coverage.missing.map((part) => part.reason).join("; ")}
        </Notice>
      )}
    </>
  );
}

/** The command that sends the request. */
export function commandOf(path: string): string {
  const parameters = new URLSearchParams(path.split("?")[1]);
  const options = ["exporter", "last", "from", "to", "by", "every", "sum"].flatMap((name) => {
    const value = parameters.get(name);
    return value ? [`--${name} ${word(value)}`] : [];
  });
  const filter = parameters.get("filter");
  return ["netflow flows", ...options, `-n ${parameters.get("n")}`, ...(filter ? [word(filter)] : [])].join(" ");
}

export function csvOf(answer: AnyAnswer): string {
  if ("columns" in answer) {
    const line = (row: RowsAnswer["rows"][number]) =>
      answer.columns.map((column) => (typeof row[column] === "object" ? "" : (row[column] ?? "")));
    return csv([answer.columns, ...answer.rows.map(line)]);
  }
  const sums = ["records", "bytes", "packets", "flows"] as const;
  return csv([
    [...answer.by, ...sums],
    ...answer.rows.map((row) => [...answer.by.map((column) => row.key?.[column]), ...sums.map((sum) => row[sum])]),
  ]);
}
