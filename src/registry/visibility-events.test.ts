import { server } from "../platform/events/access-event.ts";
import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { repositoryName, testRegistry } from "../../test/support/registry.ts";
import { readChanges } from "../platform/events/consume-events.ts";
import { sequenceEvents } from "../platform/events/positions.ts";
import { writeEvents } from "../platform/events/record-events.ts";
import type { RegistryEvent } from "../platform/events/registry-event.ts";
import { applyEvents } from "./apply-events.ts";
import { registryMigrations } from "./migrations.ts";
import { createRepository, setVisibility } from "./repositories.ts";
import { storedEvents } from "./stored-events.ts";

const [app, tool] = [repositoryName("team/app"), repositoryName("tool")];

describeEachDatabase("the visibility of repositories", (_dialect, open) => {
  it("is told by events, and by those that are made of the tables: either gives it back", async () => {
    const { database } = testRegistry(await open([registryMigrations]));
    await writeEvents(
      database,
      async (tx) => {
        await createRepository(database, tx, { name: app, visibility: "internal" });
        await createRepository(database, tx, { name: tool, visibility: "private" });
      },
      server,
    );
    await writeEvents(
      database,
      async (tx) => {
        await setVisibility(tx, app, "public");
        await setVisibility(tx, tool, "private");
      },
      server,
    );
    await sequenceEvents(database);
    const told = (await readChanges(database, { after: 0, limit: 9 }))
      .flatMap(({ events }) => events)
      .filter((event): event is RegistryEvent => event.kind !== "access-changed");
    expect(told.map(({ kind }) => kind)).toEqual(["repository-created", "repository-created", "visibility-changed"]);
    const stored = (await Array.fromAsync(storedEvents(database.read))).flat();
    const shown = [
      { name: "team/app", visibility: "public" },
      { name: "tool", visibility: "private" },
    ];
    for (const events of [told, stored, [...told, ...told], [...stored, ...told]]) {
      const other = await open([registryMigrations]);
      await other.write((tx) => applyEvents(other, tx, events));
      const rows = await other.read.selectFrom("repositories").select(["name", "visibility"]).orderBy("name").execute();
      expect(rows).toEqual(shown as never);
    }
  });

  it("of what was written before there was any is that of its time", async () => {
    const database = await open([registryMigrations]);
    const events = ["library/app", "libraryx/app"].map((name): RegistryEvent => ({
      kind: "repository-created",
      repository: repositoryName(name),
      at: 1,
    }));
    await database.write((tx) => applyEvents(database, tx, events));
    const rows = await database.read.selectFrom("repositories").select("visibility").orderBy("name").execute();
    expect(rows.map(({ visibility }) => visibility)).toEqual(["public", "private"]);
  });
});
