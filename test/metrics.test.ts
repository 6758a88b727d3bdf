import { describe, expect, it } from "bun:test";
import { join } from "node:path";
import { openSocket } from "./hostile/wire.ts";
import { startServer, type TestServer } from "./support/server.ts";

const page = await Bun.file(join(import.meta.dir, "../docs/operators/health-and-metrics.md")).text();

interface Metric {
  readonly name: string;
  readonly labels: readonly string[];
}

const byName = (metrics: readonly Metric[]): readonly Metric[] =>
  metrics.toSorted((a, b) => (a.name < b.name ? -1 : 1));
const quoted = (text: string): readonly string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);

/** The table's metrics; those that it says come only with something else are told apart. */
function documented(markdown: string): { readonly always: readonly Metric[]; readonly sometimes: readonly Metric[] } {
  const always: Metric[] = [];
  const sometimes: Metric[] = [];
  for (const line of markdown.split("\n")) {
    const [, first = "", labels = "", what = ""] = line.split("|").map((cell) => cell.trim());
    if (!/^`(?:registry|berth|process)_/.test(first)) continue;
    const names = [first, ...what.matchAll(/`process_\w+`/g)].flatMap((cell) => quoted(String(cell)));
    const isConditional = /only with/.test(what) || /acme/.test(first);
    for (const name of names) (isConditional ? sometimes : always).push({ name, labels: quoted(labels).toSorted() });
  }
  return { always, sometimes };
}

/** Of a scrape: every metric that has a value, with its labels; what a histogram is made of is one. */
function served(text: string): readonly Metric[] {
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]));
  const found = new Map<string, Set<string>>();
  for (const [, written = "", labels = ""] of text.matchAll(/^([a-z_]+)(?:\{([^}]*)\})? /gm)) {
    const name = types.has(written) ? written : written.replace(/_(?:bucket|sum|count)$/, "");
    const known = found.get(name) ?? new Set<string>();
    for (const [, label = ""] of labels.matchAll(/([a-z]+)="/g)) if (label !== "le") known.add(label);
    found.set(name, known);
  }
  return [...found].map(([name, labels]) => ({ name, labels: [...labels].toSorted() }));
}

const scrape = async ({ url }: TestServer): Promise<string> => (await fetch(new URL("/metrics", url))).text();

/** So that everything that counts has counted something. */
async function push(server: TestServer): Promise<void> {
  const authorization = `Basic ${btoa(`${server.admin.username}:${server.admin.password}`)}`;
  const target = new URL("/v2/team/app/blobs/uploads/", server.url);
  const started = await fetch(target, { method: "POST", headers: { authorization } });
  const location = new URL(started.headers.get("location") ?? "", server.url);
  expect((await fetch(location, { method: "PATCH", headers: { authorization }, body: "abc" })).status).toBe(202);
}

it("the documented metrics are those that are served, with their labels", async () => {
  await using server = await startServer({ env: { BERTH_TRACING_ENDPOINT: "http://127.0.0.1:9" } });
  await push(server);
  const { always, sometimes } = documented(page);
  const scraped = async (): Promise<readonly Metric[]> => served(await scrape(server));
  let seen = await scraped();
  const isWhole = (): boolean => always.every(({ name }) => seen.some((one) => one.name === name));
  // Some have a value only when a job has run.
  for (const deadline = Date.now() + 45_000; !isWhole() && Date.now() < deadline; await Bun.sleep(200))
    seen = await scraped();
  const conditional = new Set(sometimes.map(({ name }) => name));
  expect(byName(seen.filter(({ name }) => !conditional.has(name)))).toEqual(byName(always));
  const traces = sometimes.filter(({ name }) => name.startsWith("berth_trace_"));
  expect(traces).toHaveLength(2);
  for (const metric of traces) expect(seen).toContainEqual(metric);
}, 90_000);

it("sees a metric that is missing in the table, and one that is not served", () => {
  const { always } = documented(page);
  expect(always.length).toBeGreaterThan(8);
  const without = documented(page.replace(/^\| `berth_build_info`.*\n/m, "")).always;
  expect(without).toHaveLength(always.length - 1);
  expect(served('# TYPE a_b counter\na_b{x="1"} 2\n# TYPE c histogram\nc_bucket{le="1",y="2"} 3\nc_sum 1\n')).toEqual([
    { name: "a_b", labels: ["x"] },
    { name: "c", labels: ["y"] },
  ]);
});

describe("whatever names, methods and agents clients make up", () => {
  const methods = ["GET", "HEAD", "POST", "PROPFIND", "REPORT", "PURGE", "SEARCH", "TRACE", "BREW", "delete"];
  const batchRequests = 500;
  const statusLine = "HTTP/1.1 ";

  it("there are no more series than before", async () => {
    await using server = await startServer();
    const seriesOf = async (): Promise<readonly string[]> =>
      (await scrape(server))
        .split("\n")
        .flatMap((line) => (/^registry_http_\w+\{/.test(line) ? [line.replace(/ \S+$/, "")] : []));
    const socket = await openSocket(server.host);
    let answers = 0;
    let rest = "";
    socket.on("data", (data: Buffer) => {
      const text = rest + data.toString("latin1");
      answers += text.split(statusLine).length - 1;
      rest = text.slice(1 - statusLine.length);
    });
    socket.resume();
    const flood = async (from: number): Promise<void> => {
      const lines = Array.from({ length: batchRequests }, (_, index) => {
        const at = from + index;
        const path = `/v2/name${at}/x${at * 7}/${["tags/list", "manifests/t", "blobs/uploads/", "nothing"][at % 4] ?? ""}`;
        return `${methods[at % methods.length] ?? ""} ${path}?q=${at} HTTP/1.1\r\nHost: h${at}.test\r\nUser-Agent: agent-${at}\r\nContent-Length: 0\r\n\r\n`;
      });
      const wanted = answers + batchRequests;
      socket.write(lines.join(""));
      const isOver = (): boolean => answers >= wanted || socket.destroyed;
      for (const deadline = Date.now() + 60_000; !isOver() && Date.now() < deadline;) await Bun.sleep(5);
      expect(answers).toBe(wanted);
    };
    await flood(0);
    // The metrics count who asks for them, from the second time on.
    await seriesOf();
    const before = await seriesOf();
    for (let batch = 1; batch < 8; batch++) await flood(batch * batchRequests);
    expect((await seriesOf()).toSorted()).toEqual([...before].toSorted());
    expect(before.join("\n")).not.toMatch(/name\d|agent-\d|\.test|REPORT|BREW/);
    socket.destroy();
  }, 120_000);
});
