// What changes all the time: rates and losses of routers and unknown senders, from events of the collector; and what doctor
// finds. A collector without events is asked every ten seconds.
import { useEffect, useMemo, useState } from "preact/hooks";
import { useAnswer, useTicks } from "../../api/answer";
import { exporters, type Finding, findings, lostShare, type Unknown, unknown } from "../../api/collector";
import { senders } from "../../api/counters";
import { type ListenState, listen } from "../../api/events";

export interface Rates {
  bitsPerSecond: number;
  packetsPerSecond: number;
  flowsPerSecond: number;
}
/** Of what was counted between two flushes, in bit/s. */
export interface BitRates {
  in: number;
  out: number;
  local: number;
}
/** A router as an event has it. */
export interface Moment {
  address: string;
  name?: string | null;
  tags: string[];
  last: string | null;
  flowsPerSecond: number | null;
  bitsPerSecond: BitRates | null;
  /** Of the last whole minute. */
  traffic: { in: Rates; out: Rates; local: Rates } | null;
  lostPercent: number | null;
  sampling: number[];
}
/** An event: only what has changed since the one before. */
export interface NowEvent {
  senders: Moment[];
  removed: string[];
  unknown?: Unknown[];
  findings?: Finding[];
}
export interface Picture {
  routers: Map<string, Moment>;
  unknown: Unknown[];
  findings: Finding[];
}
export interface LiveRouter extends Moment {
  /** The worst finding comes first. */
  findings: Finding[];
}
export interface Live {
  routers: LiveRouter[];
  findings: Finding[];
  unknown: Unknown[];
}

/** The picture after an event. */
export function changed(before: Picture | undefined, event: NowEvent): Picture {
  const routers = new Map(before?.routers);
  for (const router of event.senders) routers.set(router.address, router);
  for (const address of event.removed) routers.delete(address);
  return {
    routers,
    unknown: event.unknown ?? before?.unknown ?? [],
    findings: event.findings ?? before?.findings ?? [],
  };
}

export function useLive(): { value?: Live | undefined; error?: Error | undefined; loading: boolean } {
  const [pictured, setPictured] = useState<Picture>();
  const [state, setState] = useState<ListenState>("connecting");
  useEffect(
    () =>
      listen<NowEvent>(
        (event, isFirst) => setPictured((before) => changed(isFirst ? undefined : before, event)),
        setState,
      ),
    [],
  );
  const isPolled = state === "unavailable";
  const polls = useTicks(10, isPolled);
  const polled = useAnswer(`polled ${isPolled} ${polls}`, async (abort) => (isPolled ? poll(abort) : undefined));
  const picture = pictured ?? polled.value;
  const value = useMemo(() => picture && live(picture), [picture]);
  return { value, error: polled.error, loading: !value };
}

async function poll(abort: AbortSignal): Promise<Picture> {
  const [registered, sending, strangers, found] = await Promise.all([
    senders(abort),
    exporters(abort),
    unknown(abort),
    findings(abort),
  ]);
  const moments = registered.map((sender): Moment => {
    const exporter = sending.find(({ address }) => address === sender.ip);
    return {
      address: sender.ip,
      name: sender.name ?? null,
      tags: sender.tags ?? [],
      last: exporter?.last ?? sender.last,
      flowsPerSecond: exporter?.rates?.flowsPerSecond ?? null,
      bitsPerSecond: exporter?.bitsPerSecond ?? null,
      traffic: null,
      lostPercent: exporter ? lostShare(exporter.arrivals) * 100 : null,
      sampling: [],
    };
  });
  return { routers: new Map(moments.map((moment) => [moment.address, moment])), unknown: strangers, findings: found };
}

function live({ routers: moments, findings: found, unknown }: Picture): Live {
  const routers = [...moments.values()].map((router) => ({
    ...router,
    findings: found.filter((finding) => finding.router === router.address),
  }));
  return { routers: sorted(routers), findings: found, unknown };
}

/** The newest bit rates of a router: of the last flush, or else of the last whole minute; null if neither is known. */
export function bitRates({ bitsPerSecond, traffic }: Moment): BitRates | null {
  if (bitsPerSecond || !traffic) return bitsPerSecond;
  return { in: traffic.in.bitsPerSecond, out: traffic.out.bitsPerSecond, local: traffic.local.bitsPerSecond };
}

/** The sum of what is known; null if nothing is. */
export function sumOfRates(routers: Moment[]): BitRates | null {
  const known = routers.flatMap((router) => bitRates(router) ?? []);
  if (known.length === 0) return null;
  const sum = (key: keyof BitRates) => known.reduce((sum, rates) => sum + rates[key], 0);
  return { in: sum("in"), out: sum("out"), local: sum("local") };
}

/** Routers with findings first, in the order of doctor, then silent ones, then those with the most flows. */
export function sorted(routers: LiveRouter[]): LiveRouter[] {
  const rank = (router: LiveRouter) => (router.findings.length > 0 ? 0 : router.last === null ? 1 : 2);
  return [...routers].sort((a, b) => rank(a) - rank(b) || (b.flowsPerSecond ?? 0) - (a.flowsPerSecond ?? 0));
}
