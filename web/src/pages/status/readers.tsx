// The readers of the log: what each does, how far it lags, what it has lost; administrators pause and resume them.
import { useState } from "preact/hooks";
import type { LogReader } from "../../api/collector";
import { request } from "../../api/request";
import { mayOrderReaders } from "../../api/session";
import { Dialog } from "../../parts/dialog";
import { Table } from "../../parts/table";
import { lengthText } from "../../times";
import { bytesText, exact } from "../../units";
import { isPaused, stateOf } from "./reader-state";

interface ReadersProps {
  readers: LogReader[];
  /** After an order. */
  onChange: () => void;
}

export function Readers({ readers, onChange }: ReadersProps) {
  const [asking, setAsking] = useState<LogReader | null>(null);
  if (readers.length === 0) return null;
  return (
    <>
      <h2>Readers of the log</h2>
      <Table
        label="Readers"
        rows={readers}
        columns={[
          { text: "Reader", cell: (row) => row.name },
          { text: "State", cell: (row) => <State reader={row} /> },
          { text: "Unread flushes", number: true, cell: (row) => exact(row.unreadFlushes) },
          { text: "Unread", number: true, cell: (row) => bytesText(row.unreadBytes) },
          { text: "Oldest", number: true, cell: (row) => lengthText(row.unreadSeconds * 1000) },
          {
            text: "Lost",
            number: true,
            title: "removed before it was read, because the log was full",
            cell: (row) => bytesText(row.forcedOutBytes),
          },
          { text: "Skipped", number: true, cell: (row) => bytesText(row.skippedBytes) },
          { text: "Missing records", number: true, cell: (row) => exact(row.missingRecords) },
          { text: "Last error", wrap: true, cell: (row) => row.lastError ?? "" },
          ...(mayOrderReaders()
            ? [
                {
                  text: "Order",
                  cell: (row: LogReader) => (
                    <button type="button" class="quiet" onClick={() => setAsking(row)}>
                      {isPaused(row) ? "resume" : "pause"}
                    </button>
                  ),
                },
              ]
            : []),
        ]}
      />
      {asking && <Order reader={asking} onClose={() => setAsking(null)} onChange={onChange} />}
    </>
  );
}

function State({ reader }: { reader: LogReader }) {
  const { text, isGood } = stateOf(reader);
  return <span class={isGood ? "good" : "bad"}>{text}</span>;
}

function Order({ reader, onClose, onChange }: { reader: LogReader; onClose: () => void; onChange: () => void }) {
  const order = isPaused(reader) ? "resume" : "pause";
  const give = async () => {
    await request("POST", `/readers/${encodeURIComponent(reader.name)}/${order}`);
    onChange();
  };
  return order === "pause" ? (
    <Dialog title={`Pause ${reader.name}?`} action="Pause" danger onClose={onClose} onAccept={give}>
      <p>
        It takes no flows until it is resumed, also after a restart. Its flows stay in the log, up to log.maxBytes; then
        the oldest are lost for it. Counting continues.
      </p>
    </Dialog>
  ) : (
    <Dialog title={`Resume ${reader.name}?`} action="Resume" onClose={onClose} onAccept={give}>
      <p>It continues where it was.</p>
    </Dialog>
  );
}
