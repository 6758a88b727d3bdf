import { findPostgres, startPostgres } from "../../test/support/postgres.ts";
import { testRegistry } from "../../test/support/registry.ts";
import { runProgram } from "../../test/races/program/run-program.ts";
import { openStage } from "../../test/races/program/stage.ts";
import { positionedStore } from "../../test/races/uploads/positioned-store.ts";
import { runUploads, virtualClock } from "../../test/races/uploads/run-uploads.ts";
import type { Dialect } from "../../src/platform/database/database.ts";

/** Random programs of the registry and of uploads, each seed once, from one that no run before had. */
export async function soakRaces(minutes: number): Promise<boolean> {
  const until = Date.now() + minutes * 60_000;
  const first = Math.floor(Date.now() / 1000) % 1_000_000_000;
  let seed = first;
  let problems = 0;
  const run = async (dialect: Dialect): Promise<void> => {
    await using stage = await openStage(dialect);
    const store = positionedStore();
    const uploads = testRegistry(stage.registry.database, { blobs: store });
    const stop = Math.min(until, Date.now() + 60_000);
    for (; Date.now() < stop; seed += 1) {
      const { problem } = await runProgram(stage, seed);
      using clock = virtualClock();
      const found = [problem, await runUploads({ ...stage, registry: uploads, store, clock }, seed)];
      for (const what of found) {
        if (what === undefined) continue;
        problems += 1;
        console.log(`${dialect}, ${what}`);
      }
    }
    if ((await stage.deadlocks()) > 0) problems += 1;
  };
  const programs = findPostgres();
  await using cluster = "bin" in programs ? await startPostgres(programs.bin) : undefined;
  if (cluster === undefined) console.log("without PostgreSQL: only half of it");
  else process.env["BERTH_TEST_POSTGRES_URL"] = cluster.url;
  const dialects: readonly Dialect[] = cluster === undefined ? ["sqlite"] : ["sqlite", "postgres"];
  for (let turn = 0; Date.now() < until; turn += 1) {
    await run(dialects[turn % dialects.length] ?? "sqlite");
    console.log(`${seed - first} programs of each kind, ${problems} problems; the next seed is ${seed}`);
  }
  return problems === 0;
}
