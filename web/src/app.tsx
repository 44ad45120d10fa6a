// The frame around all pages: navigation, who is logged in, whether the collector is reachable.
import { useEffect, useErrorBoundary, useState } from "preact/hooks";
import { address, visit } from "./address";
import { loggedOut, reachable } from "./api/request";
import { logOut, session } from "./api/session";
import { BillingPage } from "./pages/billing/billing";
import { FlowsPage } from "./pages/flows/flows";
import { LoginPage } from "./pages/login/login";
import { NowPage } from "./pages/now/now";
import { RouterPage } from "./pages/routers/router";
import { RoutersPage } from "./pages/routers/routers";
import { StatusPage } from "./pages/status/status";
import { TrafficPage } from "./pages/traffic/traffic";
import { Link } from "./parts/link";
import { Notice } from "./parts/notice";
import { clockText, isUtc, utcText, zone } from "./times";

const PAGES = [
  { name: "now", text: "Now", Page: NowPage },
  { name: "traffic", text: "Traffic", Page: TrafficPage },
  { name: "flows", text: "Flows", Page: FlowsPage },
  { name: "routers", text: "Routers", Page: RoutersPage },
  { name: "billing", text: "Billing", Page: BillingPage },
  { name: "status", text: "Status", Page: StatusPage },
] as const;

export function App({ problem }: { problem: string | undefined }) {
  const [, name = "", ...rest] = address.value.pathname.replace(/^\/web/, "").split("/");
  useEffect(() => {
    if (name === "") visit("/web/now", true);
  }, [name]);
  const page = PAGES.find((page) => page.name === name) ?? PAGES[0];
  useEffect(() => {
    document.title = `${page.text} · netflow`;
  }, [page.text]);
  if (!session.value || loggedOut.value) {
    return <LoginPage problem={loggedOut.value && session.value ? "Your session has ended: log in again." : problem} />;
  }
  const router = name === "routers" && rest[0] ? decodeURIComponent(rest[0]) : null;
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <Header current={page.name} />
      {!reachable.value && (
        <Notice kind="error">
          The collector does not answer. This page shows what it knew, and continues when it does.
        </Notice>
      )}
      <main id="content" tabIndex={-1}>
        <Guarded key={address.value.pathname}>{router ? <RouterPage address={router} /> : <page.Page />}</Guarded>
      </main>
    </>
  );
}

function Header({ current }: { current: string }) {
  return (
    <header class="frame">
      <Link class="brand" href="/web/now">
        netflow
      </Link>
      <nav aria-label="Pages">
        {PAGES.map(({ name, text }) => (
          <Link key={name} href={`/web/${name}`} aria-current={name === current ? "page" : undefined}>
            {text}
          </Link>
        ))}
      </nav>
      <Clock />
      <span class="who">
        <bdi>{session.value?.name ?? session.value?.role}</bdi>
        <button type="button" onClick={() => logOut()}>
          Log out
        </button>
      </span>
    </header>
  );
}

/** The present time, in the browser's zone and in UTC. */
function Clock() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 5000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span class="clock">
      {!isUtc(now) && `${clockText(now)} ${zone} · `}
      {utcText(now).slice(11)} UTC
    </span>
  );
}

/** An error in a page leaves the frame as it is. */
function Guarded({ children }: { children: preact.ComponentChildren }) {
  const [error, reset] = useErrorBoundary();
  if (!error) return <>{children}</>;
  return (
    <Notice kind="error">
      This page has an error: {String(error)}
      <button type="button" onClick={reset}>
        Try again
      </button>
    </Notice>
  );
}
