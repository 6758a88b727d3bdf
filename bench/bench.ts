import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { run } from "../scripts/proof/run.ts";
import { lackOfRoom, makeFolder } from "./measure/folder.ts";
import { describeMachine } from "./measure/machine.ts";
import { describeAll, describeRow, type Report } from "./measure/report.ts";
import { describeBestAndWorst, describeCapacity, putBetweenMarks } from "./measure/summary.ts";
import { runRow, type RowResult } from "./measure/run-row.ts";
import { allRows } from "./rows/all-rows.ts";
import { berth, provideExecutable } from "./servers/berth.ts";
import { distribution3, dockerRegistry } from "./servers/distribution.ts";
import { nginx } from "./servers/nginx.ts";
import { zot } from "./servers/zot.ts";
import { describeZb, missingZb } from "./zb.ts";

const root = resolve(import.meta.dir, "..");

const usage = `usage: npm run bench [-- OPTION...]
  --quick          small sizes, one round, about two minutes
  --only ROW       one row; may be given more than once, and a part of a name does
  --rounds N       how often each is measured (default 5)
  --folder FOLDER  where up to 8 GB are written (default: the temporary folder)
rows: ${allRows.map(({ name }) => name).join(" ")}`;

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
    rounds: { type: "string" },
    folder: { type: "string", default: tmpdir() },
    help: { type: "boolean", default: false },
  },
});

const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const rows = allRows.filter(({ name }) => values.only?.some((part) => name.includes(part)) ?? true);
const isBad = !Number.isSafeInteger(rounds) || rounds < 1 || rows.length === 0;

async function main(): Promise<number> {
  const lack = await lackOfRoom(values.folder);
  if (lack !== undefined) {
    console.error(lack);
    return 2;
  }
  await using all = new AsyncDisposableStack();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void all.disposeAsync().finally(() => process.exit(130)));
  }
  const folder = all.use(await makeFolder(values.folder));
  await provideExecutable();
  const servers = [berth, dockerRegistry, nginx, distribution3, zot];
  const head = [...(await describeMachine(folder, root))];
  for (const server of servers) {
    head.push(`${server.name}: ${server.missing() ?? `${await server.version()}; ${server.setting}`}`);
  }
  console.log(head.join("\n"), "\n");
  const plan = { folder, quick: values.quick, seconds: values.quick ? 1 : 3, rounds, all };
  const results: RowResult[] = [];
  for (const row of rows) {
    const result = await runRow(row, plan);
    results.push(result);
    console.log(describeRow(result).join("\n"));
  }
  if (!values.quick && rows.length === allRows.length) {
    const withoutZb = missingZb();
    const more =
      withoutZb === undefined
        ? await describeZb({ ...plan, used: all })
        : ["## zb", "", `Not measured: ${withoutZb}.`, ""];
    await writeResults({ head, results, more });
  }
  return results.some(({ failures }) => failures.length > 0) ? 1 : 0;
}

async function put(page: string, lines: readonly string[]): Promise<void> {
  await writeFile(page, putBetweenMarks(await readFile(page, "utf8"), lines));
}

/** The whole table, its best and worst rows where people look first, and what it means for who plans a machine. */
async function writeResults(report: Report): Promise<void> {
  const pages = ["bench/RESULTS.md", "README.md", "docs/operators/sizing.md"].map((page) => resolve(root, page));
  const [results = "", readme = "", sizing = ""] = pages;
  await writeFile(results, describeAll(report));
  await put(readme, describeBestAndWorst(report.results));
  await put(sizing, describeCapacity(report.results));
  await run([resolve(root, "node_modules/.bin/oxfmt"), ...pages], { cwd: root });
}

if (values.help || isBad) {
  console.log(usage);
  process.exitCode = values.help ? 0 : 2;
} else process.exitCode = await main();
