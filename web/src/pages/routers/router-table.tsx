// Routers, a line each: what they send, what is lost, and what doctor finds.
import { type Finding, lostShare } from "../../api/collector";
import { Link } from "../../parts/link";
import { Spark } from "../../parts/spark";
import { bothTexts, lengthText } from "../../times";
import { percent, rounded } from "../../units";
import type { LiveRouter } from "../now/live";

interface TableProps {
  routers: LiveRouter[];
  sparks?: Map<string, number[]> | undefined;
}

export function RouterTable({ routers, sparks }: TableProps) {
  if (routers.length === 0) return <p class="soft">No router is registered yet.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys
    <section class="table-frame" aria-label="Routers" tabIndex={0}>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">Router</th>
            <th scope="col" class="number">
              flows/s
            </th>
            {sparks && <th scope="col">Last hour</th>}
            <th scope="col" class="number">
              Last datagram
            </th>
            <th scope="col" class="number">
              Lost
            </th>
            <th scope="col">Protocols</th>
            <th scope="col">Prefixes</th>
            <th scope="col">Findings</th>
          </tr>
        </thead>
        <tbody>
          {routers.map((router) => (
            <RouterRow key={router.address} router={router} sparks={sparks} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

type RowProps = { router: LiveRouter; sparks: Map<string, number[]> | undefined };

function RouterRow({ router, sparks }: RowProps) {
  const { address, exporter, sender } = router;
  const last = exporter?.last ?? sender?.last ?? null;
  return (
    <tr data-router={address}>
      <RouterName router={router} last={last} />
      <td class="number">{exporter?.rates ? rounded(exporter.rates.flowsPerSecond).trimEnd() : "–"}</td>
      {sparks && (
        <td>
          {sparks.has(address) && (
            <Spark values={sparks.get(address) ?? []} label={`Octets of ${address} by minutes`} />
          )}
        </td>
      )}
      <td class="number" title={last ? bothTexts(Date.parse(last)) : undefined}>
        {last ? `${lengthText(Math.max(0, Date.now() - Date.parse(last)))} ago` : "never"}
      </td>
      <td class="number">{exporter ? percent(lostShare(exporter.arrivals)) : "–"}</td>
      <td>{exporter ? Object.keys(exporter.protocols).join(", ") : ""}</td>
      <td class="number">{sender?.prefixes.length ?? 0}</td>
      <RouterFindings findings={router.findings} last={last} />
    </tr>
  );
}

function RouterName({ router, last }: { router: LiveRouter; last: string | null }) {
  const { address, findings, sender } = router;
  return (
    <th scope="row">
      <span class={`dot ${findings.length > 0 ? "dot-warn" : last ? "dot-good" : "dot-off"}`} aria-hidden="true" />
      <Link href={`/web/routers/${encodeURIComponent(address)}`}>{address}</Link>
      {sender?.tags?.map((tag) => (
        <span key={tag} class="tag">
          {tag}
        </span>
      ))}
    </th>
  );
}

const RouterFindings = ({ findings, last }: { findings: Finding[]; last: string | null }) => (
  <td class="wrap">
    {findings[0] ? <bdi class="warn">{findings[0].what}</bdi> : last ? "none" : "waiting for the first datagram"}
    {findings.length > 1 && <span class="soft"> and {findings.length - 1} more</span>}
  </td>
);
