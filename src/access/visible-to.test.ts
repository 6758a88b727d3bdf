import { expect, test } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { parseRepositoryName } from "../oci/names.ts";
import { registryMigrations } from "../registry/migrations.ts";
import { authorizer, type Policy } from "./authorize.ts";
import { anonymous, type Caller } from "./principal.ts";
import { parseScopes } from "./scope.ts";
import { listedTo, visibleTo } from "./visible-to.ts";

const names = ["a", "a/b", "librarx", "library", "library-x/a", "library/a", "library/z/z", "library0", "libraryz/a"];
const admin: Caller = { principal: { kind: "account", id: "1", name: "admin", administrator: true } };
const account: Caller = { principal: { kind: "account", id: "2", name: "ann", administrator: false } };

const withScope = (caller: Caller, text: string): Caller => {
  const parsed = parseScopes([text]);
  if (parsed.kind === "too-many") throw new Error("too many");
  return { ...caller, scope: parsed.scopes };
};

describeEachDatabase("visibleTo", (_dialect, open) => {
  const callers: readonly (readonly [string, Caller])[] = [
    ["admin", admin],
    ["anonymous", anonymous],
    ["account", account],
    ["admin, two pulls", withScope(admin, "repository:a:pull repository:library/a:pull,push repository:a/b:push")],
    ["admin, a star", withScope(admin, "repository:a/b:*")],
    ["admin, nothing", withScope(admin, "")],
    ["admin, the catalog alone", withScope(admin, "registry:catalog:*")],
    ["anonymous, what it may not have", withScope(anonymous, "repository:a:pull repository:library/a:pull")],
  ];
  for (const mode of ["standard", "open"] as const satisfies readonly Policy["mode"][]) {
    test(`${mode}: shows exactly what authorize lets read`, async () => {
      const database = await open([registryMigrations]);
      const rows = names.map((name) => ({ name, created_at: 1 }));
      await database.write((tx) => tx.insertInto("repositories").values(rows).execute());
      for (const [who, caller] of callers) {
        const seen = await database.read
          .selectFrom("repositories")
          .select("name")
          .where(visibleTo(caller, { mode }))
          .orderBy("name")
          .execute();
        const readable = names.filter((text) => {
          const name = parseRepositoryName(text);
          return name !== undefined && authorizer({ mode })(caller, "read", { kind: "repository", name }).allowed;
        });
        expect([who, seen.map(({ name }) => name)]).toEqual([who, readable]);
      }
    });
  }

  test("a token for the catalog lists what its principal may read, and opens none of it", async () => {
    const database = await open([registryMigrations]);
    const rows = names.map((name) => ({ name, created_at: 1 }));
    await database.write((tx) => tx.insertInto("repositories").values(rows).execute());
    const count = async (visible: typeof visibleTo, caller: Caller): Promise<number> => {
      const shown = visible(caller, { mode: "standard" });
      return (await database.read.selectFrom("repositories").select("name").where(shown).execute()).length;
    };
    const [ofAdmin, ofAccount] = [admin, account].map((caller) => withScope(caller, "registry:catalog:*"));
    if (ofAdmin === undefined || ofAccount === undefined) throw new Error("two callers in, two out");
    expect([await count(listedTo, ofAdmin), await count(listedTo, ofAccount)]).toEqual([names.length, 2]);
    expect([await count(visibleTo, ofAdmin), await count(visibleTo, ofAccount)]).toEqual([0, 0]);
    expect(await count(listedTo, withScope(admin, "repository:a:pull"))).toBe(1);
    expect([await count(listedTo, admin), await count(listedTo, anonymous)]).toEqual([names.length, 2]);
  });
});
