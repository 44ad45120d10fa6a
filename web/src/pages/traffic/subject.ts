// Of which prefixes the Traffic page may be: one, those of networks by their words, or all.
import { type Network, type Prefix, prefixText, type Sender } from "../../api/counters";
import { outermost } from "../../networks";

export interface Option {
  value: string;
  text: string;
}

/** Every monitored prefix once, with the name of its network. */
export function prefixesOf(senders: Sender[]): Option[] {
  const prefixes = new Map<string, string>();
  for (const prefix of senders.flatMap((sender) => sender.prefixes)) {
    const text = prefixText(prefix);
    prefixes.set(text, prefix.network ? `${text}  ${prefix.network}` : text);
  }
  return [...prefixes].map(([value, text]) => ({ value, text }));
}

/** All prefixes, and the words of networks that a router counts; nothing to choose if there is one prefix only. */
export function sumsOf(senders: Sender[], networks: Network[]): Option[] {
  const monitored = new Set(prefixesOf(senders).map(({ value }) => value));
  if (monitored.size < 2) return [];
  const counted = networks.filter(({ prefix }) => monitored.has(prefix));
  const words = (kind: string, of: (network: Network) => (string | undefined)[]) =>
    [...new Set(counted.flatMap(of))]
      .flatMap((word) => (word ? [{ value: word, text: `${kind} ${word}` }] : []))
      .sort(byText);
  const all = [
    { value: "all", text: "all prefixes" },
    ...words("customer", ({ customer }) => [customer]),
    ...words("network", ({ name }) => [name]),
    ...words("tag", ({ tags }) => tags ?? []),
  ];
  // The first meaning of a word is shown: it selects the networks with any of them.
  return all.filter(({ value }, index) => all.findIndex((other) => other.value === value) === index);
}

const byText = (one: Option, other: Option) => one.text.localeCompare(other.text);

/** The prefixes that a selection has of a sender. */
export function selected(selection: string, sender: Sender, networks: Network[]): Prefix[] {
  const words = selection.split(",");
  const isSelected = (prefix: string) =>
    words.some(
      (word) =>
        word === "all" ||
        word === prefix ||
        networks.some((network) => network.prefix === prefix && wordsOf(network).includes(word)),
    );
  return sender.prefixes.filter((prefix) => isSelected(prefixText(prefix)));
}

const wordsOf = ({ name, customer, tags }: Network): (string | undefined)[] => [name, customer, ...(tags ?? [])];

/** What a filter of flows has instead of `prefix=`. */
export function netOf(selection: string, senders: Sender[], networks: Network[]): string {
  if (selection !== "all" && !selection.includes(",")) return selection;
  const prefixes = outermost(senders.flatMap((sender) => selected(selection, sender, networks))).map(prefixText);
  return prefixes.length === 1 ? (prefixes[0] ?? "") : `in [${prefixes.join(", ")}]`;
}
