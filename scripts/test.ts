import { resolve } from "node:path";
import { findPostgres, startPostgres, type PostgresCluster } from "../test/support/postgres.ts";
import { everythingIsRequired } from "../test/support/requirement.ts";
import { checkDocs } from "./proof/check-docs.ts";
import { checkAll } from "./proof/check-steps.ts";
import { findTests } from "./proof/run-tests.ts";
import { runTestsSteadily } from "./proof/second-try.ts";
import { summarize } from "./proof/summary.ts";

const root = resolve(import.meta.dir, "..");

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  console.log(`== ${name}`);
  const result = await work();
  console.log(`== ${name}: ${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  return result;
}

async function startCluster(): Promise<PostgresCluster | undefined> {
  const programs = findPostgres();
  if ("bin" in programs) return startPostgres(programs.bin);
  console.log(`without PostgreSQL: ${programs.missing}`);
  return undefined;
}

await using cluster = await startCluster();
const env = cluster === undefined ? {} : { BERTH_TEST_POSTGRES_URL: cluster.url };

// A file that waits for a slow machine says so itself; the limit only ends what hangs.
const flags = ["--parallel=2", "--timeout=60000"];

const check = await timed("check", () => checkAll(root, env));
const integration = await timed("integration tests", async () => {
  const files = (await findTests(root, ["test", "bench"])).filter((file) => file !== "test/architecture.test.ts");
  return runTestsSteadily({ root, files, env, flags, show: true });
});
// The examples mostly wait for servers to start and stop.
const [onWorkers, docs] = await Promise.all([
  timed("protocol tests on two workers", async () => {
    const files = await findTests(root, ["test/protocol"]);
    const run = await runTestsSteadily({ root, files, env: { ...env, BERTH_TEST_WORKERS: "2" }, flags, show: true });
    return { ...run, problems: run.problems.map((problem) => `on two workers: ${problem}`) };
  }),
  timed("documents", () => checkDocs(root)),
]);

const { lines, failed } = summarize({
  runs: [check.tests, integration, onWorkers],
  docs,
  // What failed among the unit tests is told test by test.
  failedSteps: check.failedSteps.filter((step) => step !== "unit tests").map((step) => `npm run check: ${step}`),
  everythingIsRequired,
});
process.exitCode = failed ? 1 : 0;
for (const line of lines) console.log(line);
