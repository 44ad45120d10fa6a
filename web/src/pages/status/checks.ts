// What the collector is checked for, item by item: an item is good only if nothing about it is known to be wrong.
import type { Finding, Ledger, Status } from "../../api/collector";
import { bytesText, exact, percent } from "../../units";

export interface Loaded {
  status: Status;
  /** Those of the collector as a whole. */
  findings: Finding[];
  /** Why the collector is not ready; null if it is. */
  notReady: string | null;
}
export interface Check {
  name: string;
  /** In words; empty if all is right. */
  problems: string[];
}

/** Which of doctor's findings belong to which item. */
const FINDINGS: Record<string, string> = {
  store_unreachable: "Store",
  registrations_outdated: "Store",
  journal_damaged: "Journal",
  reader_fails: "Log and readers",
  reader_paused: "Log and readers",
  reader_lags: "Log and readers",
  reader_lost: "Log and readers",
  reader_incomplete: "Log and readers",
  archive_disk_full: "Archive",
  archive_failing: "Archive",
  archive_incomplete: "Archive",
  accept_limit: "Limits",
  forward_drops: "Forwarding",
  forward_refused: "Forwarding",
};
/** What is nearly full is reported before it is full. */
const NEARLY_FULL = 0.8;
/** Amounts with limits that are shown at another item, or that are at their limit in the normal course: the archive deletes. */
const ELSEWHERE = new Set(["spool_bytes", "journal_bytes", "log_bytes", "archive_bytes"]);

export function checksOf({ status, findings, notReady }: Loaded): Check[] {
  const found = (name: string) => findings.filter(({ finding }) => FINDINGS[finding] === name).map(({ what }) => what);
  const others = findings.filter(({ finding }) => FINDINGS[finding] === undefined).map(({ what }) => what);
  const has = (gauge: string) => status.gauges[gauge] !== undefined;
  return [
    { name: "Readiness", problems: notReady === null ? [] : [notReady] },
    { name: "Ledgers", problems: ledgerProblems(status) },
    { name: "Store", problems: status.store.reachable ? found("Store") : ["it is unreachable", ...found("Store")] },
    ...(has("spool_bytes") ? [{ name: "Spool", problems: spoolProblems(status) }] : []),
    ...(has("journal_bytes") ? [{ name: "Journal", problems: [...journalProblems(status), ...found("Journal")] }] : []),
    {
      name: "Log and readers",
      problems: [...readerProblems(status), ...nearlyFull(status, "log_bytes"), ...found("Log and readers")],
    },
    ...(has("archive_files") ? [{ name: "Archive", problems: [...archiveProblems(status), ...found("Archive")] }] : []),
    ...(status.forward ? [{ name: "Forwarding", problems: found("Forwarding") }] : []),
    { name: "Limits", problems: [...limitProblems(status), ...found("Limits")] },
    { name: "Findings of doctor", problems: others },
  ];
}

const amountOf = ({ gauges }: Status, name: string): number => gauges[name]?.value ?? 0;

function nearlyFull({ gauges }: Status, name: string): string[] {
  const gauge = gauges[name];
  if (!gauge?.limit || gauge.value < NEARLY_FULL * gauge.limit) return [];
  const text = name.endsWith("_bytes") ? bytesText : exact;
  const what = name.replaceAll("_", " ");
  return [`${what}: ${text(gauge.value)} of ${text(gauge.limit)}, ${percent(gauge.value / gauge.limit)}`];
}

function ledgerProblems({ ledgers, ledgersChecked }: Status): string[] {
  const isWrong = (ledger: Ledger) => Number(ledger.difference) !== 0 || Number(ledger.violations) > 0;
  return [
    ...(ledgersChecked === null ? ["they have not been checked yet"] : []),
    ...ledgers.filter(isWrong).map((ledger) => `the ledger of ${ledger.name} does not balance`),
  ];
}

function spoolProblems(status: Status): string[] {
  const waiting = amountOf(status, "spool_flushes");
  return [
    // Each flush passes through the spool.
    ...(waiting > 1 ? [`${exact(waiting)} flushes wait on this disk for the store`] : []),
    ...(amountOf(status, "spool_full") > 0 ? ["it is full: counters stay in memory"] : []),
    ...nearlyFull(status, "spool_bytes"),
  ];
}

const journalProblems = (status: Status): string[] => [
  ...(amountOf(status, "journal_failing") > 0 ? ["it cannot be written: a crash would lose new datagrams"] : []),
  ...(amountOf(status, "flush_failing_seconds") > 0 ? ["a flush cannot be stored"] : []),
  ...nearlyFull(status, "journal_bytes"),
];

const readerProblems = ({ readers }: Status): string[] =>
  readers.filter((reader) => reader.missingRecords > 0).map((reader) => `the reader ${reader.name} misses records`);

const archiveProblems = (status: Status): string[] => [
  ...(amountOf(status, "archive_failing_seconds") > 0 ? ["it cannot be written"] : []),
  ...(amountOf(status, "archive_lacking_bytes") > 0 ? ["its disk is too full: no new files are begun"] : []),
  ...(amountOf(status, "archive_losses") > 0 ? ["it lacks flows that are counted"] : []),
];

const limitProblems = (status: Status): string[] =>
  Object.keys(status.gauges)
    .filter((name) => !ELSEWHERE.has(name))
    .flatMap((name) => nearlyFull(status, name));
