import { run } from "../scripts/proof/run.ts";
import { makeFolder } from "./measure/folder.ts";
import { table } from "./measure/report.ts";
import type { Bench } from "./measure/row.ts";
import { berth } from "./servers/berth.ts";
import { distribution3, dockerRegistry } from "./servers/distribution.ts";
import { zot } from "./servers/zot.ts";

const program = (): string => process.env["BENCH_ZB"] ?? "";

export const missingZb = (): string | undefined =>
  program() === "" ? "BENCH_ZB does not name a program (built from zot's sources: make bench)" : undefined;

export interface ZbTest {
  readonly name: string;
  readonly perSecond: number;
  readonly failed: number;
}

/** What zb says of each of its tests. */
export const parseZb = (output: string): readonly ZbTest[] =>
  [
    ...output.matchAll(
      /^Test name: +(.+)\n(?:.*\n)*?Requests per second: +([\d.]+)\n(?:.*\n)*?Failed requests: +(\d+)$/gm,
    ),
  ].map(([, name = "", perSecond, failed]) => ({ name, perSecond: Number(perSecond), failed: Number(failed) }));

const options = ["--concurrency", "2", "--requests", "10"];

/** zot's own benchmark, as it comes, against each registry that is here: a section of the results. */
export async function describeZb(bench: Bench): Promise<readonly string[]> {
  const results = new Map<string, ReadonlyMap<string, ZbTest>>();
  for (const server of [berth, dockerRegistry, distribution3, zot]) {
    if (server.missing() !== undefined) continue;
    await using used = bench.used.use(new AsyncDisposableStack());
    const folder = used.use(await makeFolder(bench.folder.path));
    const { host, authorization } = await server.start({ bench: { ...bench, used, folder } });
    const credentials = authorization === undefined ? [] : ["--auth-creds", atob(authorization.replace("Basic ", ""))];
    const command = [program(), ...options, ...credentials, "--working-dir", folder.make("zb")];
    const { output } = await run([...command, `http://${host}`], { cwd: folder.path });
    if (bench.used.disposed) await new Promise(() => undefined);
    results.set(server.name, new Map(parseZb(output).map((test) => [test.name, test])));
  }
  const names = [...new Set([...results.values()].flatMap((tests) => [...tests.keys()]))];
  const cell = (test: ZbTest | undefined): string => {
    if (test === undefined) return "did not end";
    return test.failed === 0 ? test.perSecond.toFixed(1) : `${test.failed} failed`;
  };
  return [
    "## zb",
    "",
    `zot's own tool as it comes: \`zb ${options.join(" ")} URL\`, once. A request is a whole image; its layers are zeros`,
    "behind 4 KiB, and of each size the same one over and over, so that all pushes but the first are of known content.",
    "",
    ...table(
      ["images/s", ...results.keys()],
      names.map((name) => [name, ...[...results.values()].map((tests) => cell(tests.get(name)))]),
    ),
    "",
  ];
}
