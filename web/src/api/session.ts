// Who is logged in. A login signs the collector's nonce, so the signKey never leaves the browser.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { signal } from "@preact/signals";
import { get, loggedOut, reconnections, request } from "./request";

export interface Session {
  authKey: string;
  name?: string;
  role: "read" | "write" | "admin";
  /** The senders that the key is limited to; null for all. */
  senders: string[] | null;
}

/** null: nobody; undefined: not known yet. */
export const session = signal<Session | null | undefined>(undefined);

/** The signature of a login. `crypto.subtle` is not used: browsers only have it on https and localhost. */
export function sign(signKey: string, nonce: string): string {
  return bytesToHex(hmac(sha256, utf8ToBytes(signKey), utf8ToBytes(nonce)));
}

export async function logIn(authKey: string, signKey: string): Promise<void> {
  const { nonce } = await get<{ nonce: string }>("/session/nonce");
  // Requests are signed with the same key: what else a false collector wants to have signed could be one.
  if (!/^login-[0-9a-f]{64}$/.test(nonce))
    throw new Error("The collector sent no nonce of a login. Is it the right one?");
  begin(await request<Session>("POST", "/session", { authKey, nonce, sign: sign(signKey, nonce) }));
}

export async function logInByTicket(ticket: string): Promise<void> {
  begin(await request<Session>("POST", "/session", { ticket }));
}

export async function logOut(): Promise<void> {
  await request("DELETE", "/session");
  session.value = null;
}

/** Finds out who is logged in. */
export async function resume(): Promise<void> {
  try {
    begin(await get<Session>("/session"));
  } catch {
    session.value = null;
  }
}

function begin(who: Session): void {
  loggedOut.value = false;
  session.value = who;
  reconnections.value += 1;
}

export const mayWrite = (): boolean => session.value?.role === "write" || session.value?.role === "admin";
export const mayRemove = (): boolean => session.value?.role === "admin";
/** Whether readers of the log obey this session: it needs a key for all senders. */
export const mayOrderReaders = (): boolean => mayRemove() && session.value?.senders === null;
