// The statement of a bill: totals, percentile, what is missing, and how it was computed.
import { Notice } from "../../parts/notice";
import { Table } from "../../parts/table";
import { bothTexts } from "../../times";
import { bytesText, exact, percent, rateText } from "../../units";
import type { Bill, Usage } from "./billing";
import type { View } from "./view";

const REASONS: Record<string, string> = {
  collectorNotRunning: "no collector ran",
  exporterSilent: "the router sent nothing",
  notKept: "not stored, or not any more",
};

export function Statement({ view, bill }: { view: View; bill: Bill }) {
  const { samples } = bill;
  return (
    <section class="panel statement" aria-label="Statement">
      <h2>
        {view.prefix}, {bill.month} ({bill.tz})
      </h2>
      <p class="soft">
        {view.sender === "all" ? "All routers" : view.sender}, {view.local ? "with" : "without"} local traffic, until{" "}
        {bothTexts(Date.parse(samples.to))}
      </p>
      <div class="summary">
        <UsageOf name="In" usage={bill.in} direction="in" />
        <UsageOf name="Out" usage={bill.out} direction="out" />
      </div>
      {!bill.complete && (
        <Notice kind="warning">
          Not complete: {exact(samples.count)} of {exact(samples.expected)} samples are known
          {samples.partial ? `, ${exact(samples.partial)} of them not of all routers` : ""}.
        </Notice>
      )}
      <p data-samples>
        Samples of 5 minutes: {exact(samples.count)} of {exact(samples.expected)} are known.
      </p>
      <p data-lost>
        Lost on the way:{" "}
        {bill.lost ? bill.lost.shares.map((lost) => `${percent(lost.share)} of ${lost.unit}`).join(", ") : "unknown"}
      </p>
      {samples.missing.length > 0 && (
        <Table
          label="Times that are missing"
          rows={samples.missing}
          columns={[
            { text: "Missing from", cell: (row) => bothTexts(Date.parse(row.from)) },
            { text: "to", cell: (row) => bothTexts(Date.parse(row.to)) },
            { text: "because", cell: (row) => REASONS[row.reason] ?? row.reason },
          ]}
        />
      )}
      {bill.remarks
        .filter((remark) => remark.affected)
        .map((remark) => (
          <Notice key={remark.text} kind="remark">
            {remark.text}
          </Notice>
        ))}
      <p class="soft method">{bill.method}</p>
    </section>
  );
}

const UsageOf = ({ name, usage, direction }: { name: string; usage: Usage; direction: string }) => (
  <dl class="facts usage" data-direction={direction}>
    <div>
      <dt>{name}, 95th percentile</dt>
      <dd
        class="headline-value"
        title={`${exact(usage.percentile95BitsPerSecond)} bit/s`}
        data-exact={usage.percentile95BitsPerSecond}
      >
        {rateText(usage.percentile95BitsPerSecond, "bits")}
      </dd>
    </div>
    <div>
      <dt>average</dt>
      <dd>{rateText(usage.averageBitsPerSecond, "bits")}</dd>
    </div>
    <div>
      <dt>total</dt>
      <dd title={`${exact(usage.bytes)} bytes`} data-bytes={String(usage.bytes)}>
        {bytesText(usage.bytes)}
      </dd>
    </div>
    <div>
      <dt>packets</dt>
      <dd>{exact(usage.pkts)}</dd>
    </div>
    <div>
      <dt>flows</dt>
      <dd>{exact(usage.flows)}</dd>
    </div>
  </dl>
);
