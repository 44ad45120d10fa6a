// The page of one router: what it sends, what is known of it, and what is wrong.
import { useState } from "preact/hooks";
import { query, visit } from "../../address";
import { useAnswer, useTicks } from "../../api/answer";
import { type ExporterDetails, findings as loadFindings, lostShare } from "../../api/collector";
import { prefixText, type Sender } from "../../api/counters";
import { ApiError, get, request } from "../../api/request";
import { mayRemove, mayWrite } from "../../api/session";
import { Dialog } from "../../parts/dialog";
import { Elsewhere } from "../../parts/elsewhere";
import { FindingNotice } from "../../parts/finding";
import { Link } from "../../parts/link";
import { ErrorNotice, Loading, Notice } from "../../parts/notice";
import { bothTexts, lengthText } from "../../times";
import { count, percent, rounded } from "../../units";
import { Connections, Counters, Interfaces, Pending, Sampling, Streams, Templates, Unmatched } from "./details";
import { Register } from "./register";

export function RouterPage({ address }: { address: string }) {
  const ticks = useTicks(10);
  const [changes, setChanges] = useState(0);
  const path = encodeURIComponent(address);
  const sender = useAnswer(`sender ${address} ${changes}`, (abort) => get<Sender>(`/senders/${path}?names=1`, abort));
  const exporter = useAnswer(`exporter ${address} ${ticks}`, (abort) =>
    orNull(get<ExporterDetails>(`/exporters/${path}`, abort)),
  );
  const found = useAnswer(`findings ${useTicks(30)}`, (abort) => loadFindings(abort));
  return (
    <>
      <div class="heading">
        <h1>{address}</h1>
        {sender.value?.name && (
          <bdi class="name" title={`its name by ${sender.value.nameSource}`}>
            {sender.value.name}
          </bdi>
        )}
        {sender.value && <RouterActions sender={sender.value} onChange={() => setChanges(changes + 1)} />}
      </div>
      <ErrorNotice error={sender.error ?? exporter.error} />
      {found.value
        ?.filter((finding) => finding.router === address)
        .map((finding) => (
          <FindingNotice key={finding.finding} finding={finding} />
        ))}
      {sender.value && <Registration sender={sender.value} onChange={() => setChanges(changes + 1)} />}
      {exporter.value && <Received exporter={exporter.value} />}
      {exporter.value === null && (
        <Notice kind="remark">No datagram has arrived from this router since the collector started.</Notice>
      )}
      {exporter.value === undefined && !exporter.error && <Loading />}
      <Elsewhere
        same={[
          { request: `/exporters/${address}`, command: `netflow doctor ${address}` },
          { request: `/senders/${address}`, command: "netflow senders" },
        ]}
      />
    </>
  );
}

function orNull<T>(answer: Promise<T>): Promise<T | null> {
  return answer.catch((error: Error) => {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  });
}

function RouterActions({ sender, onChange }: { sender: Sender; onChange: () => void }) {
  const [asking, setAsking] = useState<"add" | "remove" | null>(null);
  const close = () => setAsking(null);
  return (
    <span class="actions">
      {mayWrite() && (
        <button type="button" onClick={() => setAsking("add")}>
          Add prefixes
        </button>
      )}
      {mayRemove() && (
        <button type="button" class="danger" onClick={() => setAsking("remove")}>
          Remove
        </button>
      )}
      {asking === "add" && <Register address={sender.ip} prefixes={[]} onClose={close} onDone={onChange} />}
      {asking === "remove" && (
        <Dialog
          title={`Remove ${sender.ip}?`}
          action="Remove the router"
          danger
          onClose={close}
          onAccept={async () => {
            await request("DELETE", `/senders/${encodeURIComponent(sender.ip)}`);
            visit("/web/routers");
          }}
        >
          <p>
            Its datagrams are not counted any more, and its settings and tags are removed. What is counted stays in the
            store.
          </p>
        </Dialog>
      )}
    </span>
  );
}

const SETTINGS = [
  "samplingRate",
  "flowDirection",
  "outCounters",
  "natAddresses",
  "tunnels",
  "identity",
  "certificateName",
] as const;

function Registration({ sender, onChange }: { sender: Sender; onChange: () => void }) {
  const [leaving, setLeaving] = useState<string | null>(null);
  const remove = async () => {
    const prefixes = sender.prefixes.filter((prefix) => prefixText(prefix) === leaving);
    const body = { prefixes: prefixes.map(({ prefix, prefixLen }) => ({ prefix, prefixLen })) };
    await request("DELETE", `/senders/${encodeURIComponent(sender.ip)}`, body);
    onChange();
  };
  const settings = SETTINGS.filter((name) => sender[name] !== undefined);
  return (
    <section class="panel" aria-label="Prefixes and settings">
      <h2>Prefixes</h2>
      <ul class="prefixes">
        {sender.prefixes.map((prefix) => (
          <li key={prefixText(prefix)}>
            <Link href={`/web/traffic${query({ prefix: prefixText(prefix), sender: sender.ip })}`}>
              {prefixText(prefix)}
            </Link>{" "}
            <bdi class="soft">{prefix.network}</bdi>
            {mayWrite() && (
              <button
                type="button"
                class="quiet"
                aria-label={`Remove ${prefixText(prefix)}`}
                onClick={() => setLeaving(prefixText(prefix))}
              >
                remove
              </button>
            )}
          </li>
        ))}
      </ul>
      {settings.length > 0 && <p>Settings: {settings.map((name) => `${name}=${sender[name]}`).join(", ")}</p>}
      {leaving && (
        <Dialog
          title={`Remove ${leaving}?`}
          action="Remove the prefix"
          danger
          onClose={() => setLeaving(null)}
          onAccept={remove}
        >
          <p>Traffic of this prefix is not counted for this router any more. What is counted stays in the store.</p>
        </Dialog>
      )}
    </section>
  );
}

function Received({ exporter }: { exporter: ExporterDetails }) {
  const time = (text: string | null) => (text ? bothTexts(Date.parse(text)) : "never");
  const clock = exporter.clockOffsetSeconds;
  return (
    <>
      <section class="panel" aria-label="What arrived">
        <h2>Since the collector started</h2>
        <dl class="facts">
          <Fact name="Flows">{exporter.rates ? `${rounded(exporter.rates.flowsPerSecond)}f/s` : "–"}</Fact>
          <Fact name="Datagrams">{exporter.rates ? `${rounded(exporter.rates.datagramsPerSecond)}/s` : "–"}</Fact>
          <Fact name="Protocols">
            {Object.entries(exporter.protocols)
              .map(([name, datagrams]) => `${name} (${count(datagrams, "datagram")})`)
              .join(", ")}
          </Fact>
          <Fact name="Lost">
            {percent(lostShare(exporter.arrivals))}
            {exporter.arrivals.map((arrival) => ` · ${count(arrival.lost, arrival.unit.replace(/s$/, ""))}`)}
          </Fact>
          <Fact name="Clock">
            {clock === null ? "unknown" : `${lengthText(Math.abs(clock) * 1000)} ${clock < 0 ? "behind" : "ahead"}`}
          </Fact>
          <Fact name="First datagram">{time(exporter.first)}</Fact>
          <Fact name="Last datagram">{time(exporter.last)}</Fact>
        </dl>
      </section>
      <Connections exporter={exporter} />
      <Pending exporter={exporter} />
      <Sampling exporter={exporter} />
      <Interfaces exporter={exporter} />
      <Templates exporter={exporter} />
      <Streams exporter={exporter} />
      <Unmatched exporter={exporter} />
      <Counters counters={exporter.counters} />
    </>
  );
}

const Fact = ({ name, children }: { name: string; children: preact.ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);
