// What is chosen on the Traffic page: prefix, routers, split, unit and direction.
import { prefixText, type Sender } from "../../api/counters";
import { Check, Choice, Select } from "../../parts/controls";
import { UNIT_NAMES } from "../../units";
import { ROWS, SPLIT_NAMES, SPLITS, unitsOf, type View } from "./view";

interface ControlsProps {
  view: View;
  senders: Sender[];
  onChange: (change: Partial<View>) => void;
}

export function TrafficControls({ view, senders, onChange }: ControlsProps) {
  return (
    <div class="controls">
      <PrefixAndSender prefix={view.prefix ?? ""} sender={view.sender} senders={senders} onChange={onChange} />
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
  onChange: (change: { prefix?: string; sender?: string }) => void;
}

export function PrefixAndSender({ prefix, sender, senders, onChange }: SubjectProps) {
  const prefixes = prefixesOf(senders);
  return (
    <>
      <Select
        label="Prefix"
        value={prefix}
        options={withCurrent(prefixes, prefix)}
        onChange={(value) => onChange({ prefix: value, sender: counts(senders, sender, value) ? sender : "all" })}
      />
      <Select
        label="Router"
        value={sender}
        options={withCurrent(senderOptions(senders, prefix), sender)}
        onChange={(value) => onChange({ sender: value })}
      />
    </>
  );
}

/** Every monitored prefix once, with the name of its network. */
export function prefixesOf(senders: Sender[]): { value: string; text: string }[] {
  const prefixes = new Map<string, string>();
  for (const prefix of senders.flatMap((sender) => sender.prefixes)) {
    const text = prefixText(prefix);
    prefixes.set(text, prefix.network ? `${text}  ${prefix.network}` : text);
  }
  return [...prefixes].map(([value, text]) => ({ value, text }));
}

const counts = (senders: Sender[], sender: string, prefix: string): boolean =>
  senders.some(({ ip, prefixes }) => ip === sender && prefixes.some((own) => prefixText(own) === prefix));

function senderOptions(senders: Sender[], prefix: string) {
  const counting = senders.filter((sender) => counts(senders, sender.ip, prefix));
  const tags = [...new Set(counting.flatMap((sender) => sender.tags ?? []))].sort();
  return [
    { value: "all", text: "all routers" },
    ...tags.map((tag) => ({ value: `tag:${tag}`, text: `tag ${tag}` })),
    ...counting.map(({ ip }) => ({ value: ip, text: ip })),
  ];
}

/** A value of the URL is shown although nothing offers it. */
function withCurrent(options: { value: string; text: string }[], value: string) {
  return options.some((option) => option.value === value) || value === ""
    ? options
    : [...options, { value, text: value }];
}
