// What is chosen on the Traffic page: prefix, routers, split, unit and direction.
import type { Network, Sender } from "../../api/counters";
import { Check, Choice, Select } from "../../parts/controls";
import { UNIT_NAMES } from "../../units";
import { type Option, prefixesOf, selected, sumsOf } from "./subject";
import { ROWS, SPLIT_NAMES, SPLITS, unitsOf, type View } from "./view";

interface ControlsProps {
  view: View;
  senders: Sender[];
  networks: Network[];
  onChange: (change: Partial<View>) => void;
}

export function TrafficControls({ view, senders, networks, onChange }: ControlsProps) {
  return (
    <div class="controls">
      <PrefixAndSender
        prefix={view.prefix ?? ""}
        sender={view.sender}
        senders={senders}
        networks={networks}
        onChange={onChange}
      />
      <Select
        label="Split by"
        value={view.by}
        options={SPLIT_NAMES.map((value) => ({ value, text: SPLITS[value].label }))}
        onChange={(by) => onChange({ by, only: null })}
      />
      <Select
        label="Rows"
        value={String(view.rows)}
        options={ROWS.map((rows) => ({ value: String(rows), text: `${rows}` }))}
        onChange={(rows) => onChange({ rows: Number(rows) })}
      />
      <Choice
        label="Unit"
        value={view.unit}
        options={unitsOf(view.by).map((value) => ({ value, text: UNIT_NAMES[value] }))}
        onChange={(unit) => onChange({ unit })}
      />
      <Choice
        label="Direction"
        value={view.local ? "local" : "others"}
        options={[
          { value: "others", text: "in and out", title: "Traffic with other networks" },
          { value: "local", text: "local", title: "Traffic between own networks" },
        ]}
        onChange={(value) => onChange({ local: value === "local" })}
      />
      <Check label="Previous period" checked={view.previous} onChange={(previous) => onChange({ previous })} />
    </div>
  );
}

interface SubjectProps {
  prefix: string;
  sender: string;
  senders: Sender[];
  /** With these, several prefixes can be chosen together. */
  networks?: Network[];
  onChange: (change: { prefix?: string; sender?: string }) => void;
}

export function PrefixAndSender({ prefix, sender, senders, networks, onChange }: SubjectProps) {
  const options = [...(networks ? sumsOf(senders, networks) : []), ...prefixesOf(senders)];
  const counts = (of: Sender, selection: string) => selected(selection, of, networks ?? []).length > 0;
  const stays = (selection: string) => senders.some((of) => of.ip === sender && counts(of, selection));
  const counting = senders.filter((of) => counts(of, prefix));
  return (
    <>
      <Select
        label="Prefix"
        value={prefix}
        options={withCurrent(options, prefix)}
        onChange={(value) => onChange({ prefix: value, sender: stays(value) ? sender : "all" })}
      />
      <Select
        label="Router"
        value={sender}
        options={withCurrent(senderOptions(counting), sender)}
        onChange={(value) => onChange({ sender: value })}
      />
    </>
  );
}

function senderOptions(counting: Sender[]): Option[] {
  const tags = [...new Set(counting.flatMap((sender) => sender.tags ?? []))].sort();
  return [
    { value: "all", text: "all routers" },
    ...tags.map((tag) => ({ value: `tag:${tag}`, text: `tag ${tag}` })),
    ...counting.map(({ ip, name }) => ({ value: ip, text: name ? `${ip}  ${name}` : ip })),
  ];
}

/** A value of the URL is shown although nothing offers it. */
function withCurrent(options: Option[], value: string) {
  return options.some((option) => option.value === value) || value === ""
    ? options
    : [...options, { value, text: value }];
}
