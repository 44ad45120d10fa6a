// Routers, a line each: what they send, what is lost, and what doctor finds.
import type { Finding } from "../../api/collector";
import { Link } from "../../parts/link";
import { Spark } from "../../parts/spark";
import { bothTexts, lengthText } from "../../times";
import { percent, rateText, rounded } from "../../units";
import { bitRates, type LiveRouter } from "../now/live";

type Sparks = Map<string, number[]> | undefined;

export function RouterTable({ routers, sparks }: { routers: LiveRouter[]; sparks?: Sparks }) {
  if (routers.length === 0) return <p class="soft">No router is registered yet.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys
    <section class="table-frame" aria-label="Routers" tabIndex={0}>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">Router</th>
            {["In", "Out", "flows/s"].map((text) => (
              <th key={text} scope="col" class="number">
                {text}
              </th>
            ))}
            {sparks && <th scope="col">Last hour</th>}
            <th scope="col" class="number">
              Last datagram
            </th>
            <th scope="col" class="number">
              Lost
            </th>
            <th scope="col" class="number">
              Sampling
            </th>
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

function RouterRow({ router, sparks }: { router: LiveRouter; sparks: Sparks }) {
  const { address, flowsPerSecond, last, lostPercent, sampling } = router;
  const bits = bitRates(router);
  return (
    <tr data-router={address}>
      <RouterName router={router} />
      <td class="number" data-in>
        {bits ? rateText(bits.in, "bits") : "–"}
      </td>
      <td class="number" data-out>
        {bits ? rateText(bits.out, "bits") : "–"}
      </td>
      <td class="number" data-flows>
        {flowsPerSecond === null ? "–" : rounded(flowsPerSecond).trimEnd()}
      </td>
      {sparks && (
        <td>
          {sparks.has(address) && (
            <Spark values={sparks.get(address) ?? []} label={`Octets of ${address} by minutes`} />
          )}
        </td>
      )}
      <td class="number" title={last ? bothTexts(Date.parse(last)) : undefined}>
        {last ? agoText(last) : "never"}
      </td>
      <td class="number" data-lost>
        {lostPercent === null ? "–" : percent(lostPercent / 100)}
      </td>
      <td class="number">
        {sampling.map((rate) => (rate === 1 ? "none" : `1 of ${rounded(rate).trimEnd()}`)).join(", ")}
      </td>
      <RouterFindings findings={router.findings} last={last} />
    </tr>
  );
}

const agoText = (time: string): string => `${lengthText(Math.max(0, Date.now() - Date.parse(time)))} ago`;

function RouterName({ router }: { router: LiveRouter }) {
  const { address, findings, last, name, tags } = router;
  return (
    <th scope="row">
      <span class={`dot ${findings.length > 0 ? "dot-warn" : last ? "dot-good" : "dot-off"}`} aria-hidden="true" />
      <Link href={`/web/routers/${encodeURIComponent(address)}`}>{address}</Link>
      {name && <bdi class="name">{name}</bdi>}
      {tags.map((tag) => (
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
