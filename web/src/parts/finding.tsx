// A finding of doctor: what it is, why, and the lines to type.
import type { Finding } from "../api/collector";
import { Copied } from "./elsewhere";
import { Link } from "./link";

export function FindingNotice({ finding, linked = false }: { finding: Finding; linked?: boolean }) {
  const { router, what, evidence, run } = finding;
  return (
    <details class="notice notice-warning finding" data-finding={finding.finding}>
      <summary>
        <bdi>{what}</bdi>
        <code class="soft">{finding.finding}</code>
      </summary>
      {linked && router && <Link href={`/web/routers/${encodeURIComponent(router)}`}>{router}</Link>}
      <ul>
        {evidence.map((line) => (
          <li key={line}>
            <bdi>{line}</bdi>
          </li>
        ))}
      </ul>
      {run.length > 0 && <p class="soft">Lines that fix it:</p>}
      {run.map((line) => (
        <Copied key={line} text={line} />
      ))}
    </details>
  );
}
