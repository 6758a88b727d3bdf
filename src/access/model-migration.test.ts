import { expect, it } from "bun:test";
import { sql } from "kysely";
import { openTestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { repositoryName } from "../../test/support/registry.ts";
import { callerOf } from "../../test/support/rights.ts";
import { migrate, type Migrations } from "../platform/database/migrations.ts";
import { registryMigrations } from "../registry/migrations.ts";
import { findAccountById } from "./accounts.ts";
import { accessMigrations } from "./migrations.ts";
import { anonymous } from "./principal.ts";

/** As they were before anybody could be given a right. */
const before = ({ owner, needs, steps }: Migrations): Migrations => ({
  owner,
  ...(needs && { needs: needs.map(before) }),
  steps: steps.filter(({ name }) => name < "202611282102"),
});

describeEachDatabase("a database of a version without grants", (_dialect, open) => {
  it("keeps its administrators, gives accounts their namespaces where these are free, and library stays public", async () => {
    const database = await open([before(registryMigrations), before(accessMigrations)]);
    await database.write(async (tx) => {
      for (const [name, administrator] of [
        ["root", 1],
        ["ann", 0],
        ["busy", 0],
        ["a@b", 0],
      ] as const) {
        await sql`insert into accounts (id, name, password_hash, administrator, disabled, suspended, epoch, created_at,
          password_changed_at) values (${`id-${name}`}, ${name}, '', ${administrator}, 0, 0, 1, 1, 1)`.execute(tx);
      }
      const names = ["library/app", "libraryx/app", "busy/app", "team/app"];
      await tx
        .insertInto("repositories")
        .values(names.map((name) => ({ name, created_at: 1 })))
        .execute();
    });
    await migrate(database, [registryMigrations, accessMigrations]);
    const access = await openTestAccess(database);
    const readable = async (id: string | undefined): Promise<string> => {
      const account = id === undefined ? undefined : await findAccountById(database, id);
      const caller = account === undefined ? anonymous : callerOf(account);
      const names = ["library/app", "libraryx/app", "busy/app", "team/app", "ann/app"];
      const decisions = await Promise.all(
        names.map((name) => access.authorize(caller, "read", { kind: "repository", name: repositoryName(name) })),
      );
      return names.filter((_, at) => decisions[at]?.allowed).join(" ");
    };
    expect(await readable("id-root")).toBe("library/app libraryx/app busy/app team/app ann/app");
    expect(await readable("id-ann")).toBe("library/app ann/app");
    // Others have put images below the name: only an administrator gives them away.
    expect(await readable("id-busy")).toBe("library/app");
    expect(await readable("id-a@b")).toBe("library/app");
    expect(await readable(undefined)).toBe("library/app");
  });
});
