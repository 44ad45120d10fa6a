// What a chart shows at its cursor.
import { bothTexts } from "../times";
import { rounded } from "../units";
import type { Mirrored } from "./chart-options";
import { Swatch } from "./swatch";

const MOST = 12;

export function ChartTip({
  starts,
  layers,
  unit,
  step,
  left,
  single,
  unstacked,
}: Mirrored & { step: number; left: number }) {
  const start = starts[step];
  if (start === undefined) return null;
  const rows = layers
    .map((layer) => ({ ...layer, inward: layer.in[step] ?? null, outward: layer.out[step] ?? null }))
    .filter((row) => row.inward || row.outward);
  const total = (key: "inward" | "outward") => rows.reduce((sum, row) => sum + (row[key] ?? 0), 0);
  const text = (value: number | null) => (value === null ? "–" : rounded(value).trimEnd());
  const known = layers.some((layer) => layer.in[step] !== null);
  return (
    <div class={`chart-tip ${left > 480 ? "chart-tip-left" : ""}`} style={{ "--left": `${Math.round(left)}px` }}>
      <p class="chart-tip-time">{bothTexts(start)}</p>
      {known ? (
        <table>
          <thead>
            <tr>
              <th>{unit}</th>
              <th class="number">{single ? "" : "in"}</th>
              {!single && <th class="number">out</th>}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, MOST).map((row) => (
              <tr key={row.label}>
                <th scope="row">
                  <Swatch colour={row.colour} /> <bdi>{row.label}</bdi>
                </th>
                <td class="number">{text(row.inward)}</td>
                {!single && <td class="number">{text(row.outward)}</td>}
              </tr>
            ))}
            {!unstacked && (
              <tr class="sum">
                <th scope="row">total</th>
                <td class="number">{text(total("inward"))}</td>
                {!single && <td class="number">{text(total("outward"))}</td>}
              </tr>
            )}
          </tbody>
        </table>
      ) : (
        <p>Nothing is stored for this time.</p>
      )}
    </div>
  );
}
