// A collector of its own for tests, with the flows that they know.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const netflow = process.env.NETFLOW_BIN ?? "netflow";
export const PREFIX = "192.0.2.0/24";
export const HOSTILE = '<img src=x onerror="window.hacked=1">';
/** Text of the other direction, and a character that turns what follows. */
export const TURNED = "\u202Eשלום evil";

export interface Sums {
  name: string;
  direction: string;
  bytes: number;
  pkts: number;
  flows: number;
}
export interface Keys {
  authKey: string;
  signKey: string;
}

/** Settings beside those that all tests have. */
export interface Settings {
  /** Without a table. */
  top?: string;
  tables?: string;
}

export class Collector {
  readonly directory = mkdtempSync(join(tmpdir(), "netflow-web-"));
  url = "";
  /** Where the page is. */
  get page(): string {
    return this.url;
  }
  udp = 0;
  /** What the generator sent, by name and direction. */
  sent: Sums[] = [];
  /** When it began to send. */
  began = 0;
  private process: ChildProcess | undefined;
  private http = 0;
  readonly limited: Keys = { authKey: "a".repeat(64), signKey: "b".repeat(64) };

  constructor(private settings: Settings = {}) {}

  async start(): Promise<void> {
    [this.http, this.udp] = [await freePort(), await freePort()];
    this.url = `http://127.0.0.1:${this.http}`;
    this.configure();
    await this.serve();
    await this.netflow("senders", "add", "127.0.0.1", PREFIX);
    await this.netflow("senders", "add", "127.0.0.2", "198.51.100.0/24");
    if (!(await this.servesPage())) throw new Error("the program has another page: make web, then cargo build");
  }

  /** Changes its settings, and lets it reload them. */
  reload(settings: Settings): void {
    this.settings = settings;
    this.configure();
    this.process?.kill("SIGHUP");
  }

  private configure(): void {
    const { authKey, signKey } = this.limited;
    const keys = `[limited]\nauthKey = "${authKey}"\nsignKey = "${signKey}"\nrole = "read"\nsenders = ["127.0.0.2"]\n`;
    writeFileSync(join(this.directory, "more-keys"), keys, { mode: 0o600 });
    writeFileSync(join(this.directory, "asn.tsv"), `192.0.2.0\t192.0.2.255\t64500\tZZ\t${HOSTILE}\n`);
    writeFileSync(
      join(this.directory, "netflow.toml"),
      `dataDir = "data"
flushInterval = "1s"
clockLimit = "366d"
${this.settings.top ?? ""}
[accounting]
fields = ["proto", "srcip", "srcport", "srcas", "dstip", "dstport", "dstas", "inif", "outif"]
[origins]
files = ["asn.tsv"]
[interfaces]
known = [${JSON.stringify(`127.0.0.1 1 ${"x".repeat(200)} 1G ${HOSTILE}`)}, ${JSON.stringify(`127.0.0.1 2 ${TURNED.replace(" ", "-")} 1G ${TURNED}`)}]
[admin]
keysFile = "more-keys"
[http]
listen = "127.0.0.1:${this.http}"
[netflow]
listen = ["127.0.0.1:${this.udp}"]
[sflow]
listen = []
[archive]
freePercent = 0
${this.settings.tables ?? ""}
`,
    );
  }

  async serve(): Promise<void> {
    this.process = spawn(netflow, ["serve", "--config", "netflow.toml"], { cwd: this.directory, stdio: "ignore" });
    await answers(`${this.url}/healthz`);
  }

  /** Ends the collector, as an update of the program does. */
  async end(): Promise<void> {
    const process = this.process;
    if (!process || process.exitCode !== null) return;
    await new Promise((resolve) => {
      process.once("exit", resolve);
      process.kill();
    });
  }

  async stop(): Promise<void> {
    // One that cannot stop in order, such as one whose store is unreachable, must not remain.
    const late = setTimeout(() => this.process?.kill("SIGKILL"), 20_000);
    await this.end();
    clearTimeout(late);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async netflow(...args: string[]): Promise<string> {
    const env = { ...process.env, NETFLOW_URL: this.url, NETFLOW_KEYS: join(this.directory, "data/keys") };
    const { stdout } = await run(netflow, args, { env, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  }

  async get<T>(path: string): Promise<T> {
    return JSON.parse(await this.netflow("curl", "GET", path)) as T;
  }

  keys(): Keys {
    const text = readFileSync(join(this.directory, "data/keys"), "utf8");
    const key = (name: string) => new RegExp(`${name}="?([\\w-]+)`).exec(text)?.[1] ?? "";
    return { authKey: key("authKey"), signKey: key("signKey") };
  }

  /** Sends flows of which everything is known, and waits until they are counted and in the archive. */
  async generate(flows: number): Promise<void> {
    this.began = Date.now();
    const sent = await this.netflow(
      ...[
        "generate",
        "--to",
        `127.0.0.1:${this.udp}`,
        "--protocol",
        "ipfix",
        "--flows",
        String(flows),
        "--rate",
        "2000",
      ],
      ...["--source", "127.0.0.1", "--prefix", PREFIX, "--zipf", "--json", "--names", PREFIX, "--fields", "proto"],
    );
    this.sent = (JSON.parse(sent) as { names: Sums[] }).names;
    await until(async () => (await this.counted()) === this.total("in").flows + this.total("out").flows);
  }

  private async counted(): Promise<number> {
    const from = new Date(this.began - 60_000).toISOString().slice(0, 16);
    const answer = await this.get<{ points: { counters: Record<string, Sums> | null }[] }>(
      `/series/127.0.0.1?prefix=${PREFIX}&step=minute&from=${from}Z`,
    );
    return answer.points
      .flatMap(({ counters }) => Object.values(counters ?? {}))
      .reduce((sum, { flows }) => sum + flows, 0);
  }

  /** What the generator sent in a direction. */
  total(direction: "in" | "out", name = "all"): Sums {
    const sums = this.sent.find((sums) => sums.name === name && sums.direction === direction);
    return sums ?? { name, direction, bytes: 0, pkts: 0, flows: 0 };
  }

  private async servesPage(): Promise<boolean> {
    const page = await fetch(`${this.url}/web/now`);
    return page.ok && (await page.text()) === readFileSync("dist/index.html", "utf8");
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("this does not become true within a minute");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const answers = (url: string) =>
  until(() =>
    fetch(url).then(
      (response) => response.ok,
      () => false,
    ),
  );
