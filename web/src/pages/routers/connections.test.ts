import { expect, test } from "vitest";
import type { ExportConnection, Exporter } from "../../api/collector";
import { connectionRows, listeningText, refusalText } from "./connections";

const connection = (port: number, tls: ExportConnection["tls"] = null): ExportConnection => ({
  port,
  listening: "192.0.2.7:4739",
  tls,
  since: "2026-11-30T10:00:00Z",
  last: null,
  messages: 7,
  bytes: 9000,
});
const exporter = (of: Partial<Exporter>) => of as Exporter;

test("the connections of a router are shown, the last one that has ended after them", () => {
  const encrypted = connection(2, { version: "1.3", certificateName: "r1.example.net" });
  const unnamed = connection(3, { version: "1.2", certificateName: null });
  const ended = { ...connection(4), at: "2026-11-30T11:00:00Z", kind: "closed", reason: "the exporter closed it" };
  const rows = connectionRows(
    exporter({ exportConnections: [connection(1), encrypted, unnamed], endedExportConnection: ended }),
  );
  expect(rows.map(({ port, transport, certificate }) => [port, transport, certificate])).toEqual([
    [1, "TCP", ""],
    [2, "TLS 1.3", "r1.example.net"],
    [3, "TLS 1.2", ""],
    [4, "TCP", ""],
  ]);
  expect(rows.map((row) => row.ended)).toEqual([null, null, null, { at: ended.at, reason: ended.reason }]);
});

test("a router that sends datagrams only has no rows", () => {
  expect(connectionRows(exporter({}))).toEqual([]);
});

test("reasons and addresses are words", () => {
  expect(refusalText("too_many_of_sender")).toBe("the router has too many");
  expect(refusalText("a_new_reason")).toBe("a new reason");
  const none = { listening: [], open: 0, limit: 1024, limitPerSender: 16, refused: [] };
  const listening = [
    { address: "192.0.2.7:4739", tls: false },
    { address: "[2001:db8::7]:4740", tls: true },
  ];
  expect(listeningText({ ...none, listening })).toBe("192.0.2.7:4739, [2001:db8::7]:4740 (TLS)");
  expect(listeningText(none)).toBe("no address");
});
