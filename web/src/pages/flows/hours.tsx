// When there are flows: hours of the day by days, or by days of the week, as a heat map. Each hour leads to its flows.
import { visit } from "../../address";
import { Check, Choice } from "../../parts/controls";
import { HOUR, localText, MINUTE, type Range, utcText, zone } from "../../times";
import { add, type Count, exact, percent, rateText, type Unit } from "../../units";
import type { TopAnswer } from "./answers";
import { type Days, flowsUrl, HOURS, type Sum, type View } from "./view";

const UNIT_OF: Record<Sum, Unit> = { bytes: "bits", packets: "packets", flows: "flows" };
const [LEFT, TOP, WIDTH, HEIGHT] = [92, 22, 40, 22];
const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

export interface Hour {
  row: string;
  hour: number;
  value: Count;
  /** How many hours of the range are in it. */
  hours: number;
  /** The last of them. */
  range: Range & { from: number; to: number };
}

/** All hours of the range, those without flows too. */
export function hoursOf(answer: TopAnswer, begin: number, sum: Sum, days: Days, utc: boolean): Hour[] {
  const text = utc ? utcText : localText;
  const values = new Map<number, Count>();
  for (const row of answer.rows) {
    // Hours begin with whole hours, or with quarters of them where zones do.
    const time = Date.parse(String(row.key?.[answer.by[0] ?? HOURS]));
    const start = hourOf(time, text);
    values.set(start, add(values.get(start) ?? 0, row[sum]));
  }
  const [from, to] = [Math.max(begin, Date.parse(answer.from)), Date.parse(answer.to)];
  const hours = new Map<string, Hour>();
  for (let start = hourOf(from, text); start < to; start += HOUR) {
    const [day, hour] = [text(start).slice(0, 10), Number(text(start).slice(11, 13))];
    const weekday = WEEKDAYS[(new Date(`${day}T12:00Z`).getUTCDay() + 6) % 7] ?? "";
    const row = days === "weekdays" ? weekday : `${weekday.slice(0, 3)} ${day}`;
    const known = hours.get(`${row} ${hour}`);
    const value = add(known?.value ?? 0, values.get(start) ?? 0);
    const range = { from: start, to: Math.min(start + HOUR, Math.ceil(to / MINUTE) * MINUTE) };
    hours.set(`${row} ${hour}`, { row, hour, value, hours: (known?.hours ?? 0) + 1, range });
  }
  return [...hours.values()];
}

/** When the hour of a time begins, in the zone of these texts. */
const hourOf = (time: number, text: (time: number) => string): number =>
  Math.floor(time / MINUTE) * MINUTE - Number(text(time).slice(14, 16)) * MINUTE;

/** The rows in their order. */
export function rowsOf(hours: Hour[], days: Days): string[] {
  const rows = [...new Set(hours.map(({ row }) => row))];
  return days === "weekdays" ? WEEKDAYS.filter((day) => rows.includes(day)) : rows;
}

interface HoursProps {
  answer: TopAnswer;
  view: View;
  from: number;
}

/** Of which hours the map is. */
export function HoursControls({ view, onChange }: { view: View; onChange: (change: Partial<View>) => void }) {
  return (
    <>
      <Choice
        label="Rows"
        value={view.days}
        options={[
          { value: "each", text: "days" },
          { value: "weekdays", text: "days of the week", title: "The mean of each hour of the week" },
        ]}
        onChange={(days) => onChange({ days })}
      />
      <Check label="Hours of UTC" checked={view.utc} onChange={(utc) => onChange({ utc })} />
    </>
  );
}

export function Hours({ answer, view, from }: HoursProps) {
  const { sum, days, utc } = view;
  const hours = hoursOf(answer, from, sum, days, utc);
  const rows = rowsOf(hours, days);
  const most = Math.max(...hours.map(meanOf), 0);
  const where = utc ? "UTC" : zone;
  return (
    <section class="panel" aria-label="Hours">
      <p class="soft">
        {exact(answer.total.flows)} flows by hours of {where}. The darkest: {rateOf(most, sum)}. An hour leads to its
        flows.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys */}
      <section class="ways-frame" tabIndex={0} aria-label={`Flows by hours of the day in ${where}`}>
        <svg class="hours picture" viewBox={`0 0 ${LEFT + 24 * WIDTH + 4} ${TOP + rows.length * HEIGHT + 4}`}>
          <title>{`Flows by hours of the day in ${where}`}</title>
          {Array.from({ length: 24 }, (_, hour) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: it is the hour
            <text key={hour} x={LEFT + hour * WIDTH + WIDTH / 2} y={TOP - 7} text-anchor="middle">
              {String(hour).padStart(2, "0")}
            </text>
          ))}
          {rows.map((row, index) => (
            <text key={row} x={LEFT - 6} y={TOP + index * HEIGHT + HEIGHT / 2} dy="0.35em" text-anchor="end">
              {row}
            </text>
          ))}
          {hours.map((hour) => (
            <HourBox
              key={`${hour.row} ${hour.hour}`}
              hour={hour}
              index={rows.indexOf(hour.row)}
              most={most}
              view={view}
            />
          ))}
        </svg>
      </section>
    </section>
  );
}

const meanOf = ({ value, hours }: Hour): number => Number(value) / hours;
const rateOf = (value: number, sum: Sum) => rateText((value * (sum === "bytes" ? 8 : 1)) / 3600, UNIT_OF[sum]);

function HourBox({ hour, index, most, view }: { hour: Hour; index: number; most: number; view: View }) {
  const mean = meanOf(hour);
  const text = view.utc ? utcText : localText;
  const amount = `${rateOf(mean, view.sum)}${hour.hours > 1 ? ` on average of ${hour.hours}` : ""}, ${percent(mean / most)} of the most`;
  const label = `${hour.row} ${String(hour.hour).padStart(2, "0")}:00: ${amount}. Its flows: ${text(hour.range.from)}`;
  const href = flowsUrl({ ...view, shown: "groups", range: hour.range, cursor: null });
  const follow = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    visit(href);
  };
  return (
    <a
      href={href}
      onClick={follow}
      aria-label={label}
      data-hour={`${hour.row} ${hour.hour}`}
      data-exact={String(hour.value)}
    >
      <title>{label}</title>
      <rect
        x={LEFT + hour.hour * WIDTH + 1}
        y={TOP + index * HEIGHT + 1}
        width={WIDTH - 2}
        height={HEIGHT - 2}
        fill-opacity={most > 0 ? (0.06 + (0.94 * mean) / most).toFixed(3) : 0.06}
      />
    </a>
  );
}
