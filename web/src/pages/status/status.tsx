// The Status page: whether the collector does what it promises. Green only if everything checked is right.
import { useState } from "preact/hooks";
import { useAnswer, useTicks } from "../../api/answer";
import { findings, type Ledger, type Status } from "../../api/collector";
import { get } from "../../api/request";
import { Elsewhere } from "../../parts/elsewhere";
import { FindingNotice } from "../../parts/finding";
import { ErrorNotice, Loading } from "../../parts/notice";
import { Table } from "../../parts/table";
import { bothTexts, lengthText } from "../../times";
import { bytesText, exact } from "../../units";
import { listeningText, refusalText } from "../routers/connections";
import { Counters } from "../routers/details";
import { type Check, checksOf, type Loaded } from "./checks";
import { Readers } from "./readers";

async function load(abort: AbortSignal): Promise<Loaded> {
  const [status, found, notReady] = await Promise.all([
    get<Status>("/status", abort),
    findings(abort),
    readiness(abort),
  ]);
  return { status, findings: found.filter((finding) => finding.router === null), notReady };
}

const readiness = (abort: AbortSignal): Promise<string | null> =>
  get("/readyz", abort).then(
    () => null,
    (error: Error) => error.message,
  );

export function StatusPage() {
  const ticks = useTicks(10);
  const [orders, setOrders] = useState(0);
  const answer = useAnswer(`status ${ticks} ${orders}`, load);
  if (!answer.value) return answer.error ? <ErrorNotice error={answer.error} /> : <Loading />;
  const { status } = answer.value;
  return (
    <>
      <h1>Status</h1>
      <ErrorNotice error={answer.error} />
      <Verdict checks={checksOf(answer.value)} status={status} />
      {answer.value.findings.map((finding) => (
        <FindingNotice key={finding.finding} finding={finding} />
      ))}
      <Ledgers ledgers={status.ledgers} checked={status.ledgersChecked} />
      <Readers readers={status.readers} onChange={() => setOrders(orders + 1)} />
      <Connections status={status} />
      <Forwarding status={status} />
      <Gauges status={status} />
      <Sockets status={status} />
      <Counters counters={status.counters} />
      <p class="soft">
        This page is built with libraries of others: <a href="/assets/licences.json">their licences</a>.
      </p>
      <Elsewhere same={[{ request: "/status", command: "netflow selfcheck" }]} />
    </>
  );
}

function Verdict({ checks, status }: { checks: Check[]; status: Status }) {
  const isGood = checks.every(({ problems }) => problems.length === 0);
  return (
    <section class="panel" aria-label="Verdict">
      <p class={`verdict ${isGood ? "good" : "bad"}`} data-verdict={isGood ? "good" : "bad"}>
        <span class={`dot ${isGood ? "dot-good" : "dot-bad"}`} aria-hidden="true" />
        {isGood ? "Nothing is wrong: all ledgers balance." : "Something is wrong."}
      </p>
      <dl class="checks">
        {checks.map(({ name, problems }) => (
          <div key={name} data-check={name} data-state={problems.length === 0 ? "good" : "bad"}>
            <dt>
              <span class={`dot ${problems.length === 0 ? "dot-good" : "dot-bad"}`} aria-hidden="true" />
              {name}
            </dt>
            <dd>
              {problems.length === 0 ? (
                <span class="good">in order</span>
              ) : (
                problems.map((problem) => (
                  <p key={problem} class="bad">
                    {problem}
                  </p>
                ))
              )}
            </dd>
          </div>
        ))}
      </dl>
      <p class="soft">
        netflow {status.version}, running for {lengthText(status.uptimeSeconds * 1000)}, receiving on{" "}
        {status.receiving.join(", ")}; store{" "}
        {status.store.reachable ? `answers within ${status.store.milliseconds} ms` : "unreachable"}
      </p>
    </section>
  );
}

function Ledgers({ ledgers, checked }: { ledgers: Ledger[]; checked: string | null }) {
  return (
    <>
      <h2>Ledgers</h2>
      <p class="soft">
        Both sides of each are counted independently and must be equal.{" "}
        {checked && `Checked at ${bothTexts(Date.parse(checked))}.`}
      </p>
      <Table
        label="Ledgers"
        rows={ledgers}
        columns={[
          { text: "Ledger", cell: (row) => row.name },
          { text: "One side", cell: (row) => row.sides[0] },
          { text: "amount", number: true, cell: (row) => exact(row.left) },
          { text: "Other side", cell: (row) => row.sides[1] },
          { text: "its amount", number: true, cell: (row) => exact(row.right) },
          {
            text: "Balance",
            cell: (row) =>
              row.difference === 0 && row.violations === 0 ? (
                <span class="good">balances</span>
              ) : (
                <span class="bad">
                  differs by {exact(row.difference)}, {exact(row.violations)} times
                </span>
              ),
          },
        ]}
      />
    </>
  );
}

/** The TCP connections over which routers send IPFIX. */
function Connections({ status }: { status: Status }) {
  const connections = status.exportConnections;
  if (!connections) return null;
  const { open, limit, limitPerSender, refused } = connections;
  return (
    <>
      <h2>Export connections</h2>
      <p class="soft">
        Accepted at {listeningText(connections)}; {exact(open)} of at most {exact(limit)} are open. A router may have{" "}
        {exact(limitPerSender)}.
      </p>
      {refused.length > 0 && (
        <Table
          label="Refused export connections"
          rows={refused}
          columns={[
            { text: "Refused", cell: (row) => row.address },
            { text: "Why", wrap: true, cell: (row) => refusalText(row.reason) },
            { text: "Times", number: true, cell: (row) => exact(row.count) },
            { text: "Last", cell: (row) => bothTexts(Date.parse(row.last)) },
          ]}
        />
      )}
    </>
  );
}

/** What became of the copies for other collectors. */
function Forwarding({ status }: { status: Status }) {
  if (!status.forward) return null;
  return (
    <>
      <h2>Forwarding</h2>
      <Table
        label="Forwarding"
        rows={status.forward}
        columns={[
          { text: "Collector", cell: (row) => row.address },
          { text: "Sent", number: true, cell: (row) => exact(row.sent) },
          { text: "Dropped: queue full", number: true, cell: (row) => exact(row.dropped.queueFull) },
          { text: "not sent", number: true, cell: (row) => exact(row.dropped.failed) },
          { text: "other family", number: true, cell: (row) => exact(row.dropped.otherFamily) },
          { text: "Queued", number: true, cell: (row) => bytesText(row.waitingBytes) },
        ]}
      />
    </>
  );
}

/** Amounts with limits: how full each is. */
function Gauges({ status }: { status: Status }) {
  const rows = Object.entries(status.gauges).map(([name, gauge]) => ({ name, ...gauge }));
  const text = (name: string, value: number) =>
    name.endsWith("_bytes")
      ? bytesText(value)
      : name.endsWith("timestamp_seconds")
        ? bothTexts(value * 1000)
        : name.endsWith("_seconds")
          ? lengthText(value * 1000)
          : exact(value);
  return (
    <>
      <h2>Memory, disk and limits</h2>
      <Table
        label="Limits"
        rows={rows}
        columns={[
          { text: "What", cell: (row) => row.name.replaceAll("_", " ") },
          { text: "Value", number: true, cell: (row) => text(row.name, row.value) },
          { text: "Limit", number: true, cell: (row) => (row.limit === undefined ? "" : text(row.name, row.limit)) },
          {
            text: "Full",
            cell: (row) =>
              row.limit ? (
                <meter
                  min={0}
                  max={row.limit}
                  high={row.limit * 0.8}
                  value={row.value}
                  aria-label={`${row.name} of its limit`}
                />
              ) : (
                ""
              ),
          },
        ]}
      />
    </>
  );
}

function Sockets({ status }: { status: Status }) {
  return (
    <>
      <h2>Sockets</h2>
      <Table
        label="Sockets"
        rows={status.sockets}
        columns={[
          { text: "Address", cell: (row) => row.address },
          { text: "Thread", number: true, cell: (row) => row.thread },
          { text: "Waiting", number: true, cell: (row) => bytesText(row.waitingBytes) },
          { text: "Limit", number: true, cell: (row) => bytesText(row.waitingLimit) },
          { text: "Dropped by the kernel", number: true, cell: (row) => exact(row.dropped) },
        ]}
      />
    </>
  );
}
