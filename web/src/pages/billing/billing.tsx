// The Billing page: what a prefix used in a month, as a statement that can be printed.
import type { RefObject } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { address, visit } from "../../address";
import { useAnswer } from "../../api/answer";
import { senders as loadSenders, type Remark, type Sender, type Series } from "../../api/counters";
import { stringifyExact } from "../../api/exact-json";
import { get } from "../../api/request";
import { Chart } from "../../parts/chart";
import { ChartFiles } from "../../parts/chart-files";
import type { Mirrored } from "../../parts/chart-options";
import { Check, Select } from "../../parts/controls";
import { csv, save } from "../../parts/download";
import { Elsewhere, word } from "../../parts/elsewhere";
import { ErrorNotice, Loading, Notice } from "../../parts/notice";
import { HOUR, zone } from "../../times";
import type { Counters } from "../../units";
import { PrefixAndSender } from "../traffic/controls";
import { prefixesOf } from "../traffic/subject";
import { trafficUrl } from "../traffic/view";
import { Statement } from "./statement";
import { billingPath, billingUrl, readView, seriesPath, type View } from "./view";

export interface Usage extends Counters {
  averageBitsPerSecond: number;
  percentile95BitsPerSecond: number;
}
export interface Missing {
  from: string;
  to: string;
  reason: string;
}
export interface Lost {
  shares: { unit: string; received: number; lost: number; share: number }[];
}
export interface Bill {
  month: string;
  tz: string;
  complete: boolean;
  in: Usage;
  out: Usage;
  samples: { from: string; to: string; expected: number; count: number; partial?: number; missing: Missing[] };
  lost: Lost | null;
  method: string;
  remarks: Remark[];
  bySender?: Record<string, unknown> | { sender: string; in: Usage; out: Usage }[];
}

export function BillingPage() {
  const known = useAnswer("senders", loadSenders);
  const asked = readView(address.value.searchParams);
  if (!known.value) return known.error ? <ErrorNotice error={known.error} /> : <Loading />;
  const prefix = asked.prefix ?? prefixesOf(known.value)[0]?.value ?? null;
  if (prefix === null) return <Notice kind="remark">No router is registered with a prefix yet.</Notice>;
  return <BillOf view={{ ...asked, prefix }} senders={known.value} />;
}

function BillOf({ view, senders }: { view: View; senders: Sender[] }) {
  const url = billingUrl(view);
  const bill = useAnswer(url, (abort) => get<Bill>(billingPath(view), abort));
  const samples = bill.value?.samples;
  const path = samples && samples.from < samples.to ? seriesPath(view, samples.from, samples.to) : null;
  const hours = useAnswer(path ?? "", async (abort) => (path ? get<Series>(path, abort) : undefined));
  const chart = useRef<HTMLDivElement>(null);
  const change = (changes: Partial<View>) => visit(billingUrl({ ...view, ...changes }));
  return (
    <>
      <h1 class="visually-hidden">Billing</h1>
      <div class="panel controls-panel">
        <BillControls view={view} senders={senders} onChange={change} />
      </div>
      <ErrorNotice error={bill.error} />
      {bill.value ? (
        <>
          <Statement view={view} bill={bill.value} />
          <div ref={chart}>{hours.value && <BillChart view={view} bill={bill.value} hours={hours.value} />}</div>
          <BillActions view={view} bill={bill.value} chart={chart} />
        </>
      ) : (
        !bill.error && <Loading />
      )}
    </>
  );
}

interface ControlsProps {
  view: View;
  senders: Sender[];
  onChange: (change: Partial<View>) => void;
}

function BillControls({ view, senders, onChange }: ControlsProps) {
  const zones = [...new Set(["UTC", zone, view.tz])];
  return (
    <div class="controls">
      <PrefixAndSender prefix={view.prefix ?? ""} sender={view.sender} senders={senders} onChange={onChange} />
      <label class="field">
        <span class="field-label">Month</span>
        <input
          type="month"
          value={view.month}
          onChange={(event) =>
            /^\d{4}-\d{2}$/.test(event.currentTarget.value) && onChange({ month: event.currentTarget.value })
          }
        />
      </label>
      <Select
        label="Month of the zone"
        value={view.tz}
        options={zones.map((value) => ({ value, text: value }))}
        onChange={(tz) => onChange({ tz })}
      />
      <Check label="Include local traffic" checked={view.local} onChange={(local) => onChange({ local })} />
    </div>
  );
}

interface BillProps {
  view: View;
  bill: Bill;
}

function BillChart({ view, bill, hours }: BillProps & { hours: Series }) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: bill and hours change with the view
  const chart = useMemo(() => chartOf(view, bill, hours), [bill, hours]);
  return (
    <section class="panel" aria-label="Chart">
      <p class="soft">Mean rates of hours. Dashed: the 95th percentile, of samples of 5 minutes.</p>
      <Chart
        {...chart}
        height={280}
        label={`Traffic of ${view.prefix} in ${view.month} with its 95th percentile`}
        onZoom={(range) =>
          visit(trafficUrl({ prefix: view.prefix, sender: view.sender, range, rows: 10, unit: "bits" }))
        }
      />
    </section>
  );
}

export function chartOf(view: View, bill: Bill, { points }: Series): Mirrored {
  const directions = view.local ? (["in", "in:local", "out", "out:local"] as const) : (["in", "out"] as const);
  const rates = (way: "in" | "out") =>
    points.map(({ counters }) =>
      counters === null
        ? null
        : directions
            .filter((direction) => direction.startsWith(way))
            .reduce((sum, direction) => sum + (Number(counters[direction]?.bytes ?? 0) * 8) / 3600, 0),
    );
  const starts = points.map((point) => Date.parse(point.start));
  const line = (way: "in" | "out") => starts.map(() => bill[way].percentile95BitsPerSecond);
  return {
    starts,
    end: (starts.at(-1) ?? 0) + HOUR,
    unit: "bit/s",
    layers: [{ label: view.prefix ?? "", colour: 0, in: rates("in"), out: rates("out") }],
    lines: [{ label: "95th percentile", kind: "percentile", in: line("in"), out: line("out") }],
  };
}

function BillActions({ view, bill, chart }: BillProps & { chart: RefObject<HTMLElement | null> }) {
  const name = `bill-${(view.prefix ?? "").replaceAll(/[/:]/g, "_")}-${view.month}`;
  const command = [
    `netflow billing ${word(view.sender)} ${view.prefix} --month ${view.month}`,
    ...(view.local ? [] : ["--local exclude"]),
    ...(view.tz === "UTC" ? [] : [`--tz ${word(view.tz)}`]),
  ];
  return (
    <>
      <p class="actions">
        <button type="button" onClick={() => window.print()}>
          Print
        </button>
        <button type="button" onClick={() => save(`${name}.csv`, csvOf(view, bill), "text/csv")}>
          CSV
        </button>
        <button type="button" onClick={() => save(`${name}.json`, stringifyExact(bill, 1), "application/json")}>
          JSON
        </button>
        <ChartFiles name={name} within={chart} />
      </p>
      <Elsewhere same={[{ request: billingPath(view), command: command.join(" ") }]} />
    </>
  );
}

export function csvOf(view: View, bill: Bill): string {
  const columns = ["bytes", "pkts", "flows", "averageBitsPerSecond", "percentile95BitsPerSecond"] as const;
  const line = (direction: "in" | "out") => [
    view.prefix,
    view.sender,
    bill.month,
    bill.tz,
    direction,
    ...columns.map((column) => bill[direction][column]),
    bill.samples.count,
    bill.samples.expected,
  ];
  const head = ["prefix", "sender", "month", "tz", "direction", ...columns, "samples", "expected_samples"];
  return csv([head, line("in"), line("out")]);
}
