// The ways of flows through two to four columns, such as source, port and destination: a Sankey diagram.
import { type SankeyGraph, type SankeyLink, type SankeyNode, sankey, sankeyLinkHorizontal } from "d3-sankey";
import { add, type Count, percent, rounded, shareOf } from "../../units";
import type { GroupsAnswer } from "./answers";
import type { Sum } from "./view";

interface NodeData {
  id: string;
  column: number;
  label: string;
}
type LinkData = object;
type Node = SankeyNode<NodeData, LinkData>;
type Link = SankeyLink<NodeData, LinkData>;

const WIDTH = 1100;
const ROW = 26;

export function Ways({ answer, sum }: { answer: GroupsAnswer; sum: Sum }) {
  if (answer.by.length < 2) return <p class="soft">Group by two to four columns, such as srcip,dstport,dstip.</p>;
  const rows = answer.rows.filter((row) => row[sum] > 0);
  if (rows.length === 0) return <p class="soft">There are no flows.</p>;
  const graph = layout(answer, sum);
  const height = heightOf(graph.nodes);
  const shown = rows.reduce((total, row) => add(total, row[sum]), 0 as Count);
  return (
    <section class="panel" aria-label="Ways of flows">
      <p class="soft">
        The {rows.length} largest groups: {percent(shareOf(shown, answer.total[sum]))} of all {sum}. The table of groups
        has the numbers.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keys */}
      <section class="ways-frame" tabIndex={0} aria-label={`Ways by ${answer.by.join(", ")}`}>
        <svg
          class="ways picture"
          viewBox={`0 -18 ${WIDTH} ${height + 24}`}
          role="img"
          aria-label={`Ways by ${answer.by.join(", ")}`}
        >
          {answer.by.map((column, index) => (
            <text key={column} y={-6} class="ways-column" {...headingAt(index, answer.by.length)}>
              {column}
            </text>
          ))}
          {graph.links.map((link) => (
            <LinkPath key={`${idOf(link.source)} ${idOf(link.target)}`} link={link} />
          ))}
          {graph.nodes.map((node) => (
            <NodeBox key={node.id} node={node} last={answer.by.length - 1} />
          ))}
        </svg>
      </section>
    </section>
  );
}

const headingAt = (index: number, columns: number) =>
  index === columns - 1
    ? ({ x: WIDTH, "text-anchor": "end" } as const)
    : ({ x: (index * WIDTH) / (columns - 1), "text-anchor": "start" } as const);

const idOf = (end: Link["source"]): string => (typeof end === "object" ? end.id : String(end));

/** Nodes of each column, and a link for each pair of neighbours in a group. */
export function graphOf(
  answer: GroupsAnswer,
  sum: Sum,
): { nodes: NodeData[]; links: { source: string; target: string; value: number }[] } {
  const nodes = new Map<string, NodeData>();
  const links = new Map<string, { source: string; target: string; value: number }>();
  for (const group of answer.rows.filter((row) => row[sum] > 0)) {
    const ids = answer.by.map((column, index) => {
      const value = String(group.key?.[column] ?? "–");
      const id = `${index} ${value}`;
      nodes.set(id, { id, column: index, label: group.names?.[column] ? `${value} ${group.names[column]}` : value });
      return id;
    });
    for (const [index, source] of ids.slice(0, -1).entries()) {
      const target = ids[index + 1] ?? source;
      const link = links.get(`${source} ${target}`) ?? { source, target, value: 0 };
      link.value += Number(group[sum]);
      links.set(`${source} ${target}`, link);
    }
  }
  return { nodes: [...nodes.values()], links: [...links.values()] };
}

/** It grows with the longest column, so that no labels overlap. */
function heightOf(nodes: { column: number }[]): number {
  const lengths = new Map<number, number>();
  for (const { column } of nodes) lengths.set(column, (lengths.get(column) ?? 0) + 1);
  return Math.max(240, Math.max(...lengths.values()) * ROW);
}

function layout(answer: GroupsAnswer, sum: Sum): SankeyGraph<NodeData, LinkData> {
  const graph = graphOf(answer, sum);
  return sankey<NodeData, LinkData>()
    .nodeId((node) => node.id)
    .nodeAlign((node) => node.column)
    .nodeWidth(12)
    .nodePadding(14)
    .extent([
      [0, 0],
      [WIDTH, heightOf(graph.nodes)],
    ])(graph);
}

const LinkPath = ({ link }: { link: Link }) => (
  <path
    class="ways-link"
    d={sankeyLinkHorizontal<NodeData, LinkData>()(link) ?? ""}
    stroke-width={Math.max(1, link.width ?? 1)}
  >
    <title>{`${idOf(link.source).slice(2)} → ${idOf(link.target).slice(2)}: ${rounded(link.value)}`}</title>
  </path>
);

function NodeBox({ node, last }: { node: Node; last: number }) {
  const { x0 = 0, x1 = 0, y0 = 0, y1 = 0 } = node;
  const atEnd = node.column === last;
  const label = node.label.length > 40 ? `${node.label.slice(0, 39)}…` : node.label;
  return (
    <g>
      <rect class={`ways-node ways-node-${node.column}`} x={x0} y={y0} width={x1 - x0} height={Math.max(1, y1 - y0)} />
      <text x={atEnd ? x0 - 6 : x1 + 6} y={(y0 + y1) / 2} dy="0.35em" text-anchor={atEnd ? "end" : "start"}>
        <tspan unicode-bidi="isolate">{label}</tspan> <tspan class="ways-value">{rounded(node.value ?? 0)}</tspan>
      </text>
    </g>
  );
}
