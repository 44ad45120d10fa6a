// Registers a router with prefixes.
import { useState } from "preact/hooks";
import { type Prefix, prefixText } from "../../api/counters";
import { request } from "../../api/request";
import { Dialog } from "../../parts/dialog";

interface RegisterProps {
  address: string;
  /** Prefixes that are proposed. */
  prefixes: Prefix[];
  onDone: () => void;
  onClose: () => void;
}

export function Register({ address, prefixes, onDone, onClose }: RegisterProps) {
  const [router, setRouter] = useState(address);
  const [text, setText] = useState(prefixes.map(prefixText).join("\n"));
  const register = async () => {
    await request("PUT", `/senders/${encodeURIComponent(router.trim())}`, { prefixes: readPrefixes(text) });
    onDone();
  };
  return (
    <Dialog title="Register a router" action="Register" onClose={onClose} onAccept={register}>
      <label class="field">
        <span class="field-label">Address that its datagrams come from</span>
        <input value={router} required onInput={(event) => setRouter(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span class="field-label">Prefixes to monitor, one on each line</span>
        <textarea rows={5} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
    </Dialog>
  );
}

/** The prefixes of a text: by lines, spaces or commas. */
export function readPrefixes(text: string): Prefix[] {
  const words = text.split(/[\s,]+/).filter((part) => part !== "");
  return words.map((text) => {
    const [prefix = "", length = ""] = text.split("/");
    if (!/^\d{1,3}$/.test(length)) throw new Error(`${text} is not a prefix: write 192.0.2.0/24 or 2001:db8::/32`);
    return { prefix, prefixLen: Number(length) };
  });
}
