// The REST requests and commands that give the same numbers as a page.
import { useState } from "preact/hooks";

export interface Same {
  request: string;
  command?: string;
}

export function Elsewhere({ same }: { same: Same[] }) {
  return (
    <details class="elsewhere">
      <summary>The same numbers by request and by command</summary>
      {same.map(({ request, command }) => (
        <div key={request} class="same">
          <Copied text={`GET ${request}`} copy={`netflow curl GET '${request}'`} />
          {command && <Copied text={command} copy={command} />}
        </div>
      ))}
    </details>
  );
}

export function Copied({ text, copy = text }: { text: string; copy?: string }) {
  const [done, setDone] = useState(false);
  const write = async () => {
    await navigator.clipboard?.writeText(copy);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <div class="copied">
      <code>{text}</code>
      {/* Browsers allow it on https and localhost only. */}
      {navigator.clipboard && (
        <button type="button" class="quiet" onClick={write} aria-label={`Copy ${text}`}>
          {done ? "copied" : "copy"}
        </button>
      )}
    </div>
  );
}

/** A word of a command line, quoted for a shell if it has to be. */
export const word = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
