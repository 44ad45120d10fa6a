// Starts the page.
import { render } from "preact";
import { followAddress } from "./address";
import { logInByTicket, resume, session } from "./api/session";
import { App } from "./app";
import "./style/base.css";
import "./style/parts.css";
import "./style/pages.css";

followAddress();

/** The ticket of a link that `netflow web` prints. It leaves the address bar before anything else happens. */
function takeTicket(): string | null {
  const ticket = /^#ticket=([\w-]+)$/.exec(window.location.hash)?.[1] ?? null;
  if (window.location.hash) window.history.replaceState(null, "", window.location.pathname + window.location.search);
  followAddress();
  return ticket;
}

async function start(): Promise<void> {
  const ticket = takeTicket();
  if (!ticket) return resume();
  try {
    await logInByTicket(ticket);
  } catch (error) {
    session.value = null;
    ticketProblem = error instanceof Error ? error.message : String(error);
  }
}

let ticketProblem: string | undefined;
const root = document.getElementById("app");
start().then(() => root && render(<App problem={ticketProblem} />, root));
