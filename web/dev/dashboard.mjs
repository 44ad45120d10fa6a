// Checks packaging/grafana-dashboard.json against Grafana's own types, which its release generates from its schema. Types
// decide about literals only, so the file becomes the source of a program that is compiled and not run.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("..", import.meta.url));
const dashboard = JSON.parse(readFileSync(new URL("../../packaging/grafana-dashboard.json", import.meta.url), "utf8"));

// Grafana's types have enums where the file has their texts.
const TYPES = `import type { Dashboard, GraphFieldConfig, VizLegendOptions, VizTooltipOptions } from "@grafana/schema";
type Text<T> = T extends string ? \`\${T}\` : T;
type Written<T> = T extends (infer U)[] ? Written<U>[] : T extends object ? { [K in keyof T]: Written<T[K]> } : Text<T>;
export const dashboard: Written<Partial<Dashboard>> = ${JSON.stringify(dashboard, null, 1)};
`;

const graphs = dashboard.panels.filter((panel) => panel.type === "timeseries");
const of = (name, type, values) => `export const ${name}: Written<${type}>[] = ${JSON.stringify(values, null, 1)};\n`;
const source =
  TYPES +
  of(
    "lines",
    "GraphFieldConfig",
    graphs.map((panel) => panel.fieldConfig.defaults.custom),
  ) +
  of(
    "options",
    "{ legend: VizLegendOptions; tooltip: VizTooltipOptions }",
    graphs.map((panel) => panel.options),
  );

// Beside the packages, where the compiler finds them.
const folder = mkdtempSync(`${web}node_modules/.dashboard-`);
try {
  const file = `${folder}/dashboard.ts`;
  writeFileSync(file, source);
  const options = ["--noEmit", "--strict", "--skipLibCheck", "--ignoreConfig"];
  const modules = ["--module", "esnext", "--moduleResolution", "bundler", "--target", "es2022", "--types", ""];
  execFileSync(`${web}node_modules/.bin/tsc`, [...options, ...modules, file], { stdio: "inherit" });
} finally {
  rmSync(folder, { recursive: true });
}
