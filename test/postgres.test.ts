import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { existsSync } from "node:fs";
import { Client } from "pg";
import { findPostgres, startPostgres, type PostgresCluster } from "./support/postgres.ts";
import { requirement } from "./support/requirement.ts";

it("says what is missing on a machine without PostgreSQL", () => {
  expect(findPostgres("/nonexistent", "/nonexistent")).toEqual({
    missing: "PostgreSQL is not installed (initdb, postgres)",
  });
});

const programs = findPostgres();

requirement("a throw-away cluster of PostgreSQL", "missing" in programs ? programs.missing : undefined, () => {
  const bin = "bin" in programs ? programs.bin : "";
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgres(bin);
  }, 60_000);
  afterAll(async () => cluster.stop());

  it("answers queries and sorts by bytes", async () => {
    const client = new Client({ connectionString: cluster.url });
    await client.connect();
    const { rows } = await client.query("select x from (values ('b'), ('B'), ('a')) as t (x) order by x");
    expect(rows).toEqual([{ x: "B" }, { x: "a" }, { x: "b" }]);
    await client.end();
  });

  describe("when its owner is killed", () => {
    it("stops, and leaves nothing behind", async () => {
      const owner = Bun.spawn(
        [
          process.execPath,
          "-e",
          `const { startPostgres } = await import(${JSON.stringify(`${import.meta.dir}/support/postgres.ts`)});
           const { url, folder } = await startPostgres(${JSON.stringify(bin)});
           console.log(JSON.stringify({ url, folder }));
           setInterval(() => {}, 1000);`,
        ],
        { stdout: "pipe" },
      );
      const { value } = await owner.stdout.getReader().read();
      const { url, folder } = JSON.parse(new TextDecoder().decode(value)) as { url: string; folder: string };
      expect(existsSync(folder)).toBe(true);
      owner.kill("SIGKILL");
      for (let waited = 0; existsSync(folder) && waited < 20_000; waited += 50) await Bun.sleep(50);
      expect(existsSync(folder)).toBe(false);
      const refusal = await new Client({ connectionString: url }).connect().catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: "ECONNREFUSED" });
    }, 60_000);
  });
});
