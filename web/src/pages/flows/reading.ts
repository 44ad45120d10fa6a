// Questions about flows, answered in lines: parts of an answer and how far the rest is, and at last the answer.
import { parseExact } from "../../api/exact-json";
import { ApiError, getLines } from "../../api/request";
import { HOUR, lengthText } from "../../times";

/** How much of the files since `from` was read. */
export interface Progress {
  from: string;
  percent: number;
}
interface Line<A> {
  progress?: Progress;
  part?: A;
  answer?: A;
  error?: { message: string };
}

export async function readInLines<A>(
  path: string,
  onProgress: (progress: Progress) => void,
  onPart: (answer: A) => void,
  abort: AbortSignal,
): Promise<A> {
  let answer: A | undefined;
  const onLine = (text: string) => {
    const line = parseExact<Line<A>>(text);
    if (line.progress) onProgress(line.progress);
    if (line.part) onPart(line.part);
    if (line.error) throw new ApiError(200, line.error.message);
    answer = line.answer ?? answer;
  };
  await getLines(`${path}&stream=1`, onLine, abort);
  if (!answer)
    throw new ApiError(200, "The collector has ended the answer: it was stopped, or its settings have changed.");
  return answer;
}

/** How much of the time was read: what is shown already, or a share of the files of a longer time. */
export function readText(progress: Progress, shownFrom: string | undefined, from: number, to: number): string {
  const length = (begin: number) => Math.max(0, to - Math.max(from, begin));
  const shown = shownFrom === undefined ? 0 : length(Date.parse(shownFrom));
  const read = Math.max(shown, (length(Date.parse(progress.from)) * progress.percent) / 100);
  const unit = to - from >= 2 * HOUR ? HOUR : 60_000;
  const count = (ms: number) => Math.floor(ms / unit);
  return `${count(read)} of ${Math.ceil((to - from) / unit)} ${unit === HOUR ? "hours" : "minutes"} are read`;
}

/** The part of the time that is shown: the newest. */
export const partText = (shownFrom: string, to: string): string =>
  `the last ${lengthText(Date.parse(to) - Date.parse(shownFrom))}`;
