// The Now page: what happens at present, worst first.
import { useMemo, useRef, useState } from "preact/hooks";
import { query, visit } from "../../address";
import { useAnswer, useTicks } from "../../api/answer";
import type { Unknown } from "../../api/collector";
import { mayWrite } from "../../api/session";
import { Chart } from "../../parts/chart";
import { Elsewhere } from "../../parts/elsewhere";
import { FindingNotice } from "../../parts/finding";
import { Link } from "../../parts/link";
import { ErrorNotice, Loading, Notice } from "../../parts/notice";
import { rangeParameters } from "../../times";
import { rate, rateText, rounded } from "../../units";
import { Register } from "../routers/register";
import { RouterTable } from "../routers/router-table";
import { NowFiles, sameNumbers } from "./files";
import { type Live, sumOfRates, useLive } from "./live";
import { type Hour, loadHour, loadSparks } from "./load";

export function NowPage() {
  const live = useLive();
  const minutes = useTicks(60);
  const hour = useAnswer(`hour ${minutes}`, loadHour);
  const sparks = useAnswer(`sparks ${minutes}`, loadSparks);
  return (
    <>
      <h1 class="visually-hidden">Now</h1>
      <ErrorNotice error={live.error ?? hour.error} />
      {hour.value ? <HourPanel hour={hour.value} live={live.value} /> : !hour.error && <Loading />}
      {live.value && (
        <>
          <CollectorFindings live={live.value} />
          <Strangers unknown={live.value.unknown} />
          <RouterTable routers={live.value.routers} sparks={sparks.value} />
        </>
      )}
      {hour.value && <Elsewhere same={sameNumbers(hour.value)} />}
    </>
  );
}

function HourPanel({ hour, live }: { hour: Hour; live: Live | undefined }) {
  const frame = useRef<HTMLElement>(null);
  const chart = useMemo(() => chartOf(hour), [hour]);
  // The last minute of which anything is known, of all networks; the present one only if there is no other.
  const isKnown = (_: number, step: number) => chart.layers.some((layer) => layer.in[step] !== null);
  const whole = hour.starts.slice(0, -1).findLastIndex(isKnown);
  const minute = whole >= 0 ? whole : hour.starts.findLastIndex(isKnown);
  const last = (key: "in" | "out") => chart.layers.reduce((sum, layer) => sum + (layer[key][minute] ?? 0), 0);
  const flows = live?.routers.reduce((sum, router) => sum + (router.flowsPerSecond ?? 0), 0);
  const current = live && sumOfRates(live.routers);
  const inward = rateText(current ? current.in : last("in"), "bits");
  const outward = rateText(current ? current.out : last("out"), "bits");
  return (
    <section class="panel" ref={frame} aria-label="The last hour of all networks">
      <div class="summary">
        <Headline name="In" value={inward} />
        <Headline name="Out" value={outward} />
        <Headline name="Flows" value={flows === undefined ? "–" : `${rounded(flows)}f/s`} />
        <p class="summary-range">
          rates of the last seconds; the last hour by minutes, by network
          <br />
          traffic between own networks is not included
          {hour.more > 0 && `, nor are ${hour.more} more networks`}
        </p>
      </div>
      <Chart
        {...chart}
        height={260}
        label={`Traffic of all networks in the last hour: at last in ${inward}, out ${outward}`}
        onZoom={(range) =>
          visit(`/web/traffic${query({ prefix: hour.networks[0]?.prefix, ...rangeParameters(range) })}`)
        }
      />
      <ul class="legend">
        {hour.networks.map((network, index) => (
          <li key={network.prefix}>
            <span class={`swatch swatch-${index % 10}`} />{" "}
            <Link href={`/web/traffic${query({ prefix: network.prefix, last: "1h" })}`}>{network.prefix}</Link>{" "}
            <bdi class="soft">{network.name}</bdi>
          </li>
        ))}
      </ul>
      <NowFiles hour={hour} chart={frame} />
    </section>
  );
}

const Headline = ({ name, value }: { name: string; value: string }) => (
  <p class="headline">
    <span class="headline-name">{name}</span>
    <span class="headline-value">{value}</span>
  </p>
);

const chartOf = (hour: Hour) => ({
  starts: hour.starts,
  end: hour.span.to,
  unit: "bit/s",
  lines: [],
  layers: hour.networks.map((network, colour) => ({
    label: network.name ? `${network.prefix} ${network.name}` : network.prefix,
    colour,
    in: network.in.map((counters, minute) => counters && rate(counters, hour.seconds[minute] ?? 60, "bits")),
    out: network.out.map((counters, minute) => counters && rate(counters, hour.seconds[minute] ?? 60, "bits")),
  })),
});

const CollectorFindings = ({ live }: { live: Live }) => (
  <>
    {live.findings
      .filter((finding) => finding.router === null)
      .map((finding) => (
        <FindingNotice key={finding.finding} finding={finding} />
      ))}
  </>
);

const sends = ({ protocol, transport }: Unknown): string =>
  protocol === null && transport !== "udp"
    ? `opens export connections (${transport.toUpperCase()})`
    : `sends ${protocol ?? "datagrams"}`;

/** Addresses that send without being registered, each with a click to register it. */
export function Strangers({ unknown }: { unknown: Unknown[] }) {
  const [chosen, setChosen] = useState<string | null>(null);
  return (
    <>
      {unknown.map((stranger) => (
        <Notice key={stranger.address} kind="warning">
          <span>
            <strong>{stranger.address}</strong> {stranger.name && <bdi>({stranger.name}) </bdi>}
            {sends(stranger)} without being registered: its flows are not counted.
          </span>
          {mayWrite() && (
            <button type="button" onClick={() => setChosen(stranger.address)}>
              Register {stranger.address}
            </button>
          )}
        </Notice>
      ))}
      {chosen !== null && (
        <Register
          address={chosen}
          prefixes={[]}
          onClose={() => setChosen(null)}
          onDone={() => visit(`/web/routers/${encodeURIComponent(chosen)}`)}
        />
      )}
    </>
  );
}
