// The Flows page: flows of the archive under one filter, grouped over time, as ways, or one by one.
import { address, visit } from "../../address";
import { useAnswer } from "../../api/answer";
import { get } from "../../api/request";
import { Choice, Select } from "../../parts/controls";
import { csv, save } from "../../parts/download";
import { Elsewhere, word } from "../../parts/elsewhere";
import { ErrorNotice, Loading, Notice } from "../../parts/notice";
import { RangePicker } from "../../parts/range-picker";
import { bothTexts, spanOf } from "../../times";
import type { Coverage, GroupsAnswer, RowsAnswer } from "./answers";
import { FilterBox } from "./filter-box";
import { Groups } from "./groups";
import { Rows } from "./rows";
import { flowsUrl, GROUPS, narrowed, readView, requestOf, type Shown, SUMS, type View } from "./view";
import { Ways } from "./ways";
import { placeOf } from "./words";

interface Loaded {
  path: string;
  view: View;
  answer: GroupsAnswer | RowsAnswer;
}

export function FlowsPage() {
  const view = readView(address.value.searchParams);
  const loaded = useAnswer(flowsUrl(view), async (abort): Promise<Loaded> => {
    const path = requestOf(view, Date.now());
    return { path, view, answer: await get<GroupsAnswer | RowsAnswer>(path, abort) };
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
        <p class="actions" role="status">
          Reading the archive …{" "}
          <button type="button" onClick={loaded.stop}>
            Stop
          </button>
        </p>
      )}
      {loaded.value && !loaded.error ? <FlowsAnswer loaded={loaded.value} onChange={change} /> : null}
      {!loaded.value && loaded.loading && <Loading />}
    </>
  );
}

const SHOWN_TEXTS: { value: Shown; text: string; title: string }[] = [
  { value: "groups", text: "groups", title: "Groups over time" },
  { value: "ways", text: "ways", title: "From column to column, as a Sankey diagram" },
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
      {view.shown !== "rows" && (
        <>
          <label class="field">
            <span class="field-label">Group by columns</span>
            <input
              value={view.by}
              list="groupings"
              spellcheck={false}
              onChange={(event) => onChange({ by: event.currentTarget.value.replaceAll(" ", "") })}
            />
          </label>
          <datalist id="groupings">
            {GROUPINGS.map((columns) => (
              <option key={columns} value={columns} />
            ))}
          </datalist>
          <Select
            label="Largest by"
            value={view.sum}
            options={SUMS.map((value) => ({ value, text: value }))}
            onChange={(sum) => onChange({ sum })}
          />
          <Select
            label="Groups"
            value={String(view.groups)}
            options={GROUPS.map((value) => ({ value: String(value), text: String(value) }))}
            onChange={(groups) => onChange({ groups: Number(groups) })}
          />
        </>
      )}
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
  return (
    <>
      <CoverageNotice coverage={answer.coverage} view={view} />
      {"columns" in answer ? (
        <Rows answer={answer} onNext={(cursor) => onChange({ cursor })} />
      ) : view.shown === "ways" ? (
        <Ways answer={answer} sum={view.sum} />
      ) : (
        <Groups
          answer={answer}
          sum={view.sum}
          onPick={(column, value) => onChange({ filter: narrowed(view.filter, column, value) })}
          onZoom={(range) => onChange({ range })}
        />
      )}
      <p class="actions">
        <button type="button" onClick={() => save("flows.csv", csvOf(answer), "text/csv")}>
          CSV
        </button>
        <button type="button" onClick={() => save("flows.json", JSON.stringify(answer, null, 1), "application/json")}>
          JSON
        </button>
      </p>
      <Elsewhere same={[{ request: path, command: commandOf(path) }]} />
    </>
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

export function csvOf(answer: GroupsAnswer | RowsAnswer): string {
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
