// JSON whose whole numbers keep all digits: counters go up to 2^64, numbers of JavaScript are exact up to 2^53. Larger ones are
// read as bigint. Text without long numbers takes no longer than usual.

/** A string or a number in JSON. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const LONG = /\d{16}/;

export function parseExact<T>(text: string): T {
  if (!LONG.test(text)) return JSON.parse(text) as T;
  // Names in answers are from outside: none of them begins with this.
  const mark = `${crypto.getRandomValues(new Uint32Array(4)).join("-")}:`;
  const marked = text.replace(TOKENS, (token) => (isLong(token) ? `"${mark}${token}"` : token));
  return JSON.parse(marked, (_, value) =>
    typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  ) as T;
}

const isLong = (token: string): boolean => /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token));

/** With bigints as whole numbers. */
export function stringifyExact(value: unknown, indent?: number): string {
  const mark = `${crypto.getRandomValues(new Uint32Array(4)).join("-")}:`;
  const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${mark}${part}` : part), indent);
  return text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1");
}
