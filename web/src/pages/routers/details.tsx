// What is known of a router, a table each. Nothing is shown of what it does not have.
import type { CounterTree, ExporterDetails } from "../../api/collector";
import { Table } from "../../parts/table";
import { bothTexts } from "../../times";
import { bytesText, type Count, exact, rounded } from "../../units";
import { connectionRows } from "./connections";

type Of = { exporter: ExporterDetails };
const time = (text: string) => bothTexts(Date.parse(text));

export function Pending({ exporter }: Of) {
  if (exporter.pending.length === 0) return null;
  return (
    <>
      <h2>Data that wait for their template</h2>
      <Table
        label="Missing templates"
        rows={exporter.pending}
        columns={[
          { text: "Template", number: true, cell: (row) => row.template },
          { text: "Protocol", cell: (row) => row.protocol },
          { text: "Domain", number: true, cell: (row) => row.domain },
          { text: "Sets", number: true, cell: (row) => exact(row.sets) },
          { text: "Since", cell: (row) => time(row.since) },
        ]}
      />
    </>
  );
}

export function Connections({ exporter }: Of) {
  const rows = connectionRows(exporter);
  if (rows.length === 0) return null;
  return (
    <>
      <h2>Export connections</h2>
      <Table
        label="Export connections"
        rows={rows}
        columns={[
          { text: "Port", number: true, cell: (row) => row.port },
          { text: "At", cell: (row) => row.listening },
          { text: "Transport", cell: (row) => row.transport },
          { text: "Certificate", wrap: true, cell: (row) => row.certificate },
          { text: "Since", cell: (row) => time(row.since) },
          { text: "Messages", number: true, cell: (row) => exact(row.messages) },
          { text: "Size", number: true, cell: (row) => bytesText(row.bytes) },
          { text: "Last message", cell: (row) => (row.last ? time(row.last) : "none") },
          {
            text: "State",
            wrap: true,
            cell: (row) => (row.ended ? `ended ${time(row.ended.at)}: ${row.ended.reason}` : "open"),
          },
        ]}
      />
    </>
  );
}

export function Sampling({ exporter }: Of) {
  const { rates, applied, multiplied } = exporter.sampling;
  return (
    <>
      <h2>Sampling</h2>
      {!multiplied && <p>Counters are not multiplied by the rate: netflow.calculateSamples is off.</p>}
      <Table
        label="Sampling rates"
        rows={
          applied.length > 0
            ? applied
            : rates.map((rate) => ({
                ...rate,
                protocol: "",
                domain: 0,
                template: null,
                sampler: null,
                statement: null,
                unknown: false,
              }))
        }
        columns={[
          { text: "Rate", number: true, cell: (row) => (row.unknown ? "unknown" : exact(row.rate)) },
          { text: "From", cell: (row) => row.source },
          { text: "Protocol", cell: (row) => row.protocol },
          { text: "Domain", number: true, cell: (row) => row.domain },
          { text: "Template", number: true, cell: (row) => row.template ?? "" },
          { text: "Sampler", number: true, cell: (row) => row.sampler ?? "" },
          {
            text: "Statement",
            wrap: true,
            cell: (row) => (row.statement === null ? "" : JSON.stringify(row.statement)),
          },
        ]}
      />
    </>
  );
}

export function Interfaces({ exporter }: Of) {
  if (exporter.interfaces.length === 0) return null;
  return (
    <>
      <h2>Interfaces</h2>
      <Table
        label="Interfaces"
        rows={exporter.interfaces}
        columns={[
          { text: "Index", number: true, cell: (row) => row.index },
          { text: "Name", wrap: true, cell: (row) => row.name },
          { text: "Description", wrap: true, cell: (row) => row.description },
          { text: "Speed", number: true, cell: (row) => (row.speed ? `${rounded(row.speed)}bit/s` : "") },
          { text: "From", cell: (row) => row.source },
          { text: "Until", cell: (row) => (row.until ? time(row.until) : "now") },
        ]}
      />
    </>
  );
}

export function Templates({ exporter }: Of) {
  if (exporter.templates.length === 0) return null;
  return (
    <>
      <h2>Templates</h2>
      <Table
        label="Templates"
        rows={exporter.templates}
        columns={[
          { text: "Template", number: true, cell: (row) => row.id },
          { text: "Kind", cell: (row) => row.kind },
          { text: "Protocol", cell: (row) => row.protocol },
          { text: "Domain", number: true, cell: (row) => row.domain },
          { text: "Announced", cell: (row) => time(row.announced) },
          {
            text: "Fields",
            wrap: true,
            cell: (row) => row.fields.map((field) => field.name ?? `${field.enterprise}.${field.id}`).join(", "),
          },
        ]}
      />
    </>
  );
}

export function Streams({ exporter }: Of) {
  return (
    <>
      <h2>Sequence numbers</h2>
      <Table
        label="Streams"
        rows={exporter.streams}
        columns={[
          { text: "Protocol", cell: (row) => row.protocol },
          { text: "Domain", number: true, cell: (row) => row.domain },
          { text: "Port", number: true, cell: (row) => row.port },
          { text: "Datagrams", number: true, cell: (row) => exact(row.datagrams) },
          { text: "Lost", number: true, cell: (row) => exact(row.lost) },
          { text: "Duplicates", number: true, cell: (row) => exact(row.duplicates) },
          { text: "Late", number: true, cell: (row) => exact(row.late) },
          { text: "Restarts", number: true, cell: (row) => exact(row.restarts) },
        ]}
      />
    </>
  );
}

export function Unmatched({ exporter }: Of) {
  const { networks, sampled } = exporter.unmatched;
  if (networks.length === 0) return null;
  return (
    <>
      <h2>Networks of flows that match no prefix</h2>
      <p class="soft">Of a sample of {exact(sampled)} flows.</p>
      <Table
        label="Networks of flows that match no prefix"
        rows={networks}
        columns={[
          { text: "Network", cell: (row) => row.network },
          { text: "Source of", number: true, cell: (row) => exact(row.from) },
          { text: "Destination of", number: true, cell: (row) => exact(row.to) },
        ]}
      />
    </>
  );
}

/** Counters by name, those of a group with its name before them. */
export function flat(counters: CounterTree, group = ""): [string, Count][] {
  return Object.entries(counters).flatMap(([name, value]): [string, Count][] =>
    typeof value === "object" ? flat(value, `${group}${name}: `) : [[group + name, value]],
  );
}

export function Counters({ counters }: { counters: CounterTree }) {
  const rows = flat(counters).map(([name, value]) => ({ name: name.replaceAll("_", " "), value }));
  return (
    <details>
      <summary>All counters</summary>
      <Table
        label="Counters"
        rows={rows}
        columns={[
          { text: "Counter", cell: (row) => row.name },
          { text: "Value", number: true, cell: (row) => exact(row.value) },
        ]}
      />
    </details>
  );
}
