// What a reader of the log does, in words.
import type { LogReader } from "../../api/collector";
import { bothTexts, lengthText } from "../../times";

export const isPaused = ({ paused }: LogReader): boolean => paused !== null;

export function stateOf(reader: LogReader): { text: string; isGood: boolean } {
  if (reader.paused !== null) {
    return { text: `paused since ${bothTexts(Date.parse(reader.paused))}`, isGood: false };
  }
  if (reader.failingSeconds !== null) {
    return { text: `fails for ${lengthText(reader.failingSeconds * 1000)}`, isGood: false };
  }
  return { text: reader.skipping ? "skips flushes" : "reads", isGood: true };
}
