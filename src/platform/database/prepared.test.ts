import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { jobMigrations } from "../jobs/migrations.ts";
import { prepared, within } from "./prepared.ts";

describeEachDatabase("a prepared query", (_dialect, open) => {
  it("is built once, and answers by what it is given each time", async () => {
    const database = await open([jobMigrations]);
    const values = ["a", "b", "c"].map((name, at) => ({ name, run_at: at + 1 }));
    await database.write((tx) => tx.insertInto("jobs").values(values).execute());
    let built = 0;
    const find = prepared((read, given: { readonly from: number; readonly not: string; readonly most: number }) => {
      built += 1;
      return read
        .selectFrom("jobs")
        .select("name")
        .where("run_at", ">=", given.from)
        .where("run_at", "<", 1000)
        .where("name", "<>", given.not)
        .orderBy("name")
        .limit(given.most);
    });
    const names = async (from: number, not: string, most = 9): Promise<readonly string[]> =>
      (await find(database, { from, not, most })).map(({ name }) => name);
    expect(await Promise.all([names(2, ""), names(1, "b"), names(4, ""), names(1, "", 1)])).toEqual([
      ["b", "c"],
      ["a", "c"],
      [],
      ["a"],
    ]);
    // What a client sends stays a value.
    expect(await names(1, "' or 1=1 --")).toEqual(["a", "b", "c"]);
    expect(built).toBe(1);
  });

  it("leaves nothing behind that was asked for at once with what is refused", async () => {
    const database = await open([jobMigrations]);
    const insert = prepared((write, { name }: { readonly name: string }) =>
      write.insertInto("jobs").values({ name, run_at: 1 }),
    );
    for (let round = 0; round < 10; round++) {
      const [outcome] = await Promise.allSettled([
        database.write(async (tx) => {
          const write = within(tx, database);
          const refused = insert(write, { name: "first" }).then(() => Promise.reject(new Error("refused")));
          await Promise.all([refused, ...["b", "c", "d"].map((name) => insert(write, { name }))]);
        }),
      ]);
      expect(outcome).toMatchObject({ status: "rejected", reason: { message: "refused" } });
    }
    expect(await database.read.selectFrom("jobs").select("name").execute()).toEqual([]);
  });
});
