// A chart of rates over time: layers stacked upwards for traffic in, and mirrored downwards for traffic out.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Span } from "../times";
import { chartData, chartOptions, type Mirrored, readColours } from "./chart-options";
import { drawnCharts } from "./chart-svg";
import { ChartTip } from "./chart-tip";

export interface ChartProps extends Mirrored {
  /** What the chart shows, for those who cannot see it; the table beside it has the numbers. */
  label: string;
  height: number;
  onZoom: (span: Span) => void;
}

export function Chart(props: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<{ step: number; left: number } | null>(null);
  const zoom = useRef(props.onZoom);
  zoom.current = props.onZoom;
  const scheme = useColourScheme();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours change with the scheme
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const colours = readColours(element);
    drawnCharts.set(element, { mirrored: props, label: props.label, colours });
    const options = chartOptions(props, colours, {
      width: element.clientWidth,
      height: props.height,
      onCursor: setCursor,
      onZoom: (span) => zoom.current(span),
    });
    const chart = new uPlot(options, chartData(props), element);
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: props.height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [props.starts, props.layers, props.lines, props.height, scheme]);
  const move = (event: KeyboardEvent) => moveCursor(plot.current, event);
  return (
    <div class="chart">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys move the cursor of the chart */}
      <div ref={frame} class="chart-frame" role="img" aria-label={props.label} tabIndex={0} onKeyDown={move} />
      {cursor && <ChartTip {...props} step={cursor.step} left={cursor.left} />}
    </div>
  );
}

/** Left and right move the cursor by a step, and by twenty with Shift. */
function moveCursor(chart: uPlot | null, event: KeyboardEvent): void {
  const sign = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (!chart || sign === 0) return;
  event.preventDefault();
  const times = chart.data[0];
  const step = (chart.cursor.idx ?? times.length - 1) + sign * (event.shiftKey ? 20 : 1);
  const time = times[Math.max(0, Math.min(times.length - 2, step))];
  if (time !== undefined) chart.setCursor({ left: chart.valToPos(time, "x") + 1, top: 10 });
}

function useColourScheme(): boolean {
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setDark(scheme.matches);
    scheme.addEventListener("change", follow);
    return () => scheme.removeEventListener("change", follow);
  }, []);
  return dark;
}
