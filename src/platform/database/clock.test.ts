import { expect, it } from "bun:test";
import { sql } from "kysely";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { clock } from "./clock.ts";

describeEachDatabase("the database's clock", (dialect, open) => {
  it("counts whole milliseconds since 1970", async () => {
    const { read } = await open();
    const before = Date.now();
    const { rows } = await sql<{ now: number }>`select ${clock(dialect)} as now`.execute(read);
    const now = rows[0]?.now ?? 0;
    expect(Number.isSafeInteger(now)).toBe(true);
    expect(now).toBeWithin(before - 1, Date.now() + 2);
  });

  it("moves on inside a transaction on PostgreSQL, and between two on either", async () => {
    const database = await open();
    const read = async (): Promise<number> =>
      (await sql<{ now: number }>`select ${clock(dialect)} as now`.execute(database.read)).rows[0]?.now ?? 0;
    const first = await read();
    await Bun.sleep(15);
    expect((await read()) - first).toBeGreaterThanOrEqual(10);
    if (dialect === "sqlite") return;
    const [start, end] = await database.write(async (tx) => {
      const at = async () => (await sql<{ now: number }>`select ${clock(dialect)} as now`.execute(tx)).rows[0]?.now;
      const begun = await at();
      await Bun.sleep(15);
      return [begun ?? 0, (await at()) ?? 0];
    });
    expect((end ?? 0) - (start ?? 0)).toBeGreaterThanOrEqual(10);
  });
});
