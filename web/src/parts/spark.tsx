// A small picture of rates over time, in a row of a table.

export function Spark({ values, label }: { values: number[]; label: string }) {
  const most = Math.max(...values, 1e-9);
  const points = values.map((value, step) => `${step},${(20 - (value / most) * 19).toFixed(1)}`);
  const last = Math.max(1, values.length - 1);
  return (
    <svg class="spark" viewBox={`0 0 ${last} 20`} preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon points={`0,20 ${points.join(" ")} ${last},20`} />
      <polyline points={points.join(" ")} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
