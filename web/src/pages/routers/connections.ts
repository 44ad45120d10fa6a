// Export connections in words: the TCP connections over which routers send IPFIX.
import type { ExportConnection, ExportConnections, Exporter } from "../../api/collector";
import type { Count } from "../../units";

export interface ConnectionRow {
  port: number;
  listening: string;
  transport: string;
  /** The name in the certificate of the router. */
  certificate: string;
  since: string;
  messages: Count;
  bytes: Count;
  last: string | null;
  /** null while it is open. */
  ended: { at: string; reason: string } | null;
}

/** The open connections of a router by port, and the last one that has ended. */
export function connectionRows({ exportConnections = [], endedExportConnection: last }: Exporter): ConnectionRow[] {
  const open = exportConnections.map((connection) => row(connection, null));
  return last ? [...open, row(last, { at: last.at, reason: last.reason })] : open;
}

function row({ tls, ...connection }: ExportConnection, ended: ConnectionRow["ended"]): ConnectionRow {
  const { port, listening, since, messages, bytes, last } = connection;
  const transport = tls ? `TLS ${tls.version}` : "TCP";
  return { port, listening, transport, certificate: tls?.certificateName ?? "", since, messages, bytes, last, ended };
}

const REASONS: Record<string, string> = {
  unregistered: "the router is not registered",
  too_many_of_sender: "the router has too many",
  too_many: "there are too many",
  too_often: "the router connects too often",
  same_port: "an open connection has the same port",
};

/** Why a connection was refused. */
export const refusalText = (reason: string): string => REASONS[reason] ?? reason.replaceAll("_", " ");

/** The addresses at which connections are accepted. */
export const listeningText = ({ listening }: ExportConnections): string =>
  listening.map(({ address, tls }) => (tls ? `${address} (TLS)` : address)).join(", ") || "no address";
