// The login, with the two keys of the REST interface.
import { useState } from "preact/hooks";
import { logIn } from "../../api/session";

export function LoginPage({ problem }: { problem: string | undefined }) {
  const [error, setError] = useState(problem);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const keys = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      await logIn(String(keys.get("authKey")).trim(), String(keys.get("signKey")).trim());
    } catch (refused) {
      setError(refused instanceof Error ? refused.message : String(refused));
    }
    setBusy(false);
  };
  return (
    <main class="login">
      <form class="panel" onSubmit={submit}>
        <h1>netflow</h1>
        <p>
          Log in with the keys of the collector. They are in the file <code>keys</code> of its data directory.
        </p>
        <label class="field">
          <span class="field-label">authKey</span>
          <input name="authKey" autocomplete="username" required spellcheck={false} />
        </label>
        <label class="field">
          <span class="field-label">signKey</span>
          <input name="signKey" type="password" autocomplete="current-password" required />
        </label>
        {error && (
          <p class="problem" role="alert">
            {error}
          </p>
        )}
        <button type="submit" class="primary" disabled={busy}>
          Log in
        </button>
        <p class="soft">
          <code>netflow web</code> on the collector prints a link that logs in once, without keys. The signKey does not
          leave this browser: it signs a number that the collector sends.
        </p>
      </form>
    </main>
  );
}
