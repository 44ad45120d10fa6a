// What changes all the time: rates and losses of routers, findings, unknown senders. Asks every ten seconds.
import { useAnswer, useTicks } from "../../api/answer";
import { type Exporter, exporters, type Finding, findings, type Unknown, unknown } from "../../api/collector";
import { type Sender, senders } from "../../api/counters";

export interface Live {
  routers: LiveRouter[];
  findings: Finding[];
  unknown: Unknown[];
}
export interface LiveRouter {
  address: string;
  sender: Sender | undefined;
  exporter: Exporter | undefined;
  /** The worst finding comes first. */
  findings: Finding[];
}

export function useLive() {
  const ticks = useTicks(10);
  return useAnswer(`live ${ticks}`, loadLive);
}

export async function loadLive(abort: AbortSignal): Promise<Live> {
  const [registered, sending, found, strangers] = await Promise.all([
    senders(abort),
    exporters(abort),
    findings(abort),
    unknown(abort),
  ]);
  return { routers: sorted(joined(registered, sending, found)), findings: found, unknown: strangers };
}

export function joined(registered: Sender[], sending: Exporter[], found: Finding[]): LiveRouter[] {
  return registered.map((sender) => ({
    address: sender.ip,
    sender,
    exporter: sending.find((exporter) => exporter.address === sender.ip),
    findings: found.filter((finding) => finding.router === sender.ip),
  }));
}

/** Routers with findings first, in the order of doctor, then those with the most flows. */
function sorted(routers: LiveRouter[]): LiveRouter[] {
  const flows = (router: LiveRouter) => router.exporter?.rates?.flowsPerSecond ?? 0;
  const healthy = (router: LiveRouter) => Number(router.findings.length === 0);
  return [...routers].sort((a, b) => healthy(a) - healthy(b) || flows(b) - flows(a));
}
