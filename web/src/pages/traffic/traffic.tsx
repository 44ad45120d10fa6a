// The Traffic page: what a prefix sends and receives over time, split by a field.
import { useMemo, useRef } from "preact/hooks";
import { address, visit } from "../../address";
import { useAnswer, useTicks } from "../../api/answer";
import { networks as loadNetworks, senders as loadSenders, type Network, type Sender } from "../../api/counters";
import { Chart } from "../../parts/chart";
import { Elsewhere } from "../../parts/elsewhere";
import { Link } from "../../parts/link";
import { ErrorNotice, Loading, Notice } from "../../parts/notice";
import { RangePicker, RangeText } from "../../parts/range-picker";
import { MINUTE, type Range } from "../../times";
import { rateText } from "../../units";
import { TrafficControls } from "./controls";
import { Downloads, sameNumbers } from "./elsewhere";
import { flowsOf } from "./flows-link";
import { charted } from "./layers";
import { loadTraffic, type Traffic } from "./load";
import { netOf, prefixesOf } from "./subject";
import { figuresOf, type Row, TrafficTable } from "./table";
import { readView, SPLITS, trafficUrl, type View } from "./view";

export function TrafficPage() {
  const known = useAnswer("senders", loadSenders);
  const networks = useAnswer("networks", loadNetworks);
  const asked = readView(address.value.searchParams);
  if (!known.value) return known.error ? <ErrorNotice error={known.error} /> : <Loading />;
  const prefix = asked.prefix ?? prefixesOf(known.value)[0]?.value ?? null;
  if (prefix === null) return <NoPrefixes />;
  return <TrafficOf view={{ ...asked, prefix }} senders={known.value} networks={networks.value ?? []} />;
}

const NoPrefixes = () => (
  <Notice kind="remark">
    No router is registered with a prefix yet. <Link href="/web/routers">Register a router</Link>, and its traffic
    appears here.
  </Notice>
);

interface Known {
  view: View;
  senders: Sender[];
  networks: Network[];
}

function TrafficOf({ view, senders, networks }: Known) {
  const ticks = useTicks(60, "last" in view.range);
  const key = trafficUrl(view);
  // The sum of one router is its own counters, which take the collector less time.
  const sender = view.sender === "all" && senders.length === 1 ? senders[0]?.ip : undefined;
  const answer = useAnswer(`${key} ${ticks}`, (abort) =>
    loadTraffic({ ...view, ...(sender && { sender }) }, Date.now(), abort),
  );
  const change = (changes: Partial<View>) => visit(trafficUrl({ ...view, ...changes }));
  const flows = flowsOf(view, netOf(view.prefix ?? "", senders, networks));
  // A value that is already chosen leads to its flows.
  const pick = (value: string) => (view.only === value ? visit(flows) : change({ only: value }));
  return (
    <>
      <h1 class="visually-hidden">Traffic of {view.prefix}</h1>
      <div class="panel controls-panel">
        <TrafficControls view={view} senders={senders} networks={networks} onChange={change} />
        <RangePicker range={view.range} onChange={(range) => change({ range })} />
      </div>
      {view.only !== null && <Only view={view} flows={flows} onChange={change} />}
      <ErrorNotice error={answer.error} />
      {answer.value ? (
        <TrafficAnswer traffic={answer.value} loading={answer.loading} onChange={change} onPick={pick} />
      ) : (
        !answer.error && <Loading />
      )}
    </>
  );
}

interface OnlyProps {
  view: View;
  flows: string;
  onChange: (change: Partial<View>) => void;
}

/** That only one value is shown, and where its flows are. */
function Only({ view, flows, onChange }: OnlyProps) {
  return (
    <p class="only">
      Only {SPLITS[view.by].label.toLowerCase()} <strong>{view.only}</strong>
      <button type="button" onClick={() => onChange({ only: null })}>
        Show all
      </button>
      <Link class="button" href={flows}>
        Its flows
      </Link>
    </p>
  );
}

interface AnswerProps {
  traffic: Traffic;
  loading: boolean;
  onChange: (change: Partial<View>) => void;
  onPick: (value: string) => void;
}

function TrafficAnswer({ traffic, loading, onChange, onPick }: AnswerProps) {
  const frame = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => traffic.layers.map((layer) => figuresOf(traffic, layer)), [traffic]);
  const total = useMemo(() => figuresOf(traffic, traffic.total), [traffic]);
  const chart = useMemo(() => charted(traffic, total), [traffic, total]);
  const zoom = (range: Range) => onChange({ range });
  return (
    <div class="answer" aria-busy={loading}>
      <section class="panel" ref={frame} aria-label="Chart">
        <Summary traffic={traffic} total={total} />
        <Chart {...chart} label={chartLabel(traffic, total)} height={380} onZoom={zoom} />
      </section>
      <Remarks traffic={traffic} />
      <TrafficTable traffic={traffic} rows={rows} total={total} onPick={onPick} />
      <Downloads traffic={traffic} rows={rows} total={total} chart={frame} />
      <Elsewhere same={sameNumbers(traffic)} />
    </div>
  );
}

function Summary({ traffic, total }: { traffic: Traffic; total: Row }) {
  const { unit } = traffic.view;
  const figure = (name: string, row: Row["in"]) => (
    <p class="headline">
      <span class="headline-name">{name}</span>
      <span class="headline-value">{rateText(row.average, unit)}</span>
      <span class="headline-more">
        max {rateText(row.max, unit)} · 95th {rateText(row.percentile95, unit)}
      </span>
    </p>
  );
  return (
    <div class="summary">
      {figure("In", total.in)}
      {figure("Out", total.out)}
      <p class="summary-range">
        <RangeText
          from={traffic.subject.from}
          to={Math.min(traffic.subject.to, Math.ceil(Date.now() / MINUTE) * MINUTE)}
        />
        <br />
        mean rates of {traffic.stepText}; {traffic.view.previous && "dotted: the previous period; "}dashed: 95th
        percentile
      </p>
    </div>
  );
}

const chartLabel = (traffic: Traffic, total: Row): string =>
  `Traffic of ${traffic.view.prefix} by ${SPLITS[traffic.view.by].label}: in ${rateText(total.in.average, traffic.view.unit)} ` +
  `and out ${rateText(total.out.average, traffic.view.unit)} on average`;

function Remarks({ traffic }: { traffic: Traffic }) {
  const remarks = traffic.remarks.filter((remark) => remark.affected);
  return (
    <>
      {remarks.map((remark) => (
        <Notice key={remark.text} kind="warning">
          {remark.text}
        </Notice>
      ))}
      {traffic.truncated && (
        <Notice kind="remark">
          There were more values than are kept: small ones may be missing or too low, and count among all others. The
          total is exact.
        </Notice>
      )}
    </>
  );
}
