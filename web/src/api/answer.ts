// A hook for what a page shows of the collector: it loads, keeps the last value while it loads again, and cancels.
import { useEffect, useRef, useState } from "preact/hooks";
import { reconnections } from "./request";

export interface Answer<T> {
  value?: T;
  error?: Error;
  loading: boolean;
  /** Ends a request that takes too long; what is shown stays. */
  stop?: () => void;
  /** Whether somebody has ended it. */
  stopped?: boolean;
}

type Load<T> = (abort: AbortSignal, onPart: (value: T) => void) => Promise<T>;

/** What `load` returns, and before that its parts; again whenever `key` changes or the collector becomes reachable again. */
export function useAnswer<T>(key: string, load: Load<T>): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ loading: true });
  const latest = useRef(load);
  latest.current = load;
  const round = reconnections.value;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key has everything that load depends on
  useEffect(() => {
    const abort = new AbortController();
    const stop = () => {
      abort.abort();
      setAnswer(({ value }) => ({ ...(value !== undefined && { value }), loading: false, stopped: true }));
    };
    const onPart = (value: T) => abort.signal.aborted || setAnswer({ value, loading: true, stop });
    setAnswer(({ stopped: _, ...before }) => ({ ...before, loading: true, stop }));
    latest.current(abort.signal, onPart).then(
      (value) => abort.signal.aborted || setAnswer({ value, loading: false }),
      (error: Error) => {
        if (!abort.signal.aborted) setAnswer((before) => ({ ...before, error, loading: false }));
      },
    );
    return () => abort.abort();
  }, [key, round]);
  return answer;
}

/** A number that grows every `seconds` while the page is visible: part of the key of answers that are refreshed. */
export function useTicks(seconds: number, enabled = true): number {
  const [ticks, setTicks] = useState(0);
  useEffect(() => {
    if (!enabled) return;
    const timer = setInterval(() => {
      if (!document.hidden) setTicks((count) => count + 1);
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds, enabled]);
  return ticks;
}
