import { expect, it } from "bun:test";
import { openTestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { repositoryName, testRegistry } from "../../../test/support/registry.ts";
import { addOrganization } from "../../../test/support/rights.ts";
import { accessMigrations } from "../../access/migrations.ts";
import { changeNamespace, createNamespace, findNamespace } from "../../access/organizations/namespaces.ts";
import { server } from "../../platform/events/access-event.ts";
import { readChanges } from "../../platform/events/consume-events.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import { writeEvents } from "../../platform/events/record-events.ts";
import { removeRepository } from "../../registry/delete-repository.ts";
import { ensureRepository, findRepository } from "../../registry/repositories.ts";
import type { Furniture } from "../../registry/registry.ts";
import { furnisher } from "./furnish.ts";
import { dropLabels } from "./labels.ts";
import { descriptionMigrations } from "./migrations.ts";
import { dropDescription, findDescription, storeDescription } from "./store-description.ts";

describeEachDatabase("a new repository", (_dialect, open) => {
  async function start() {
    const database = await open([accessMigrations, descriptionMigrations]);
    const access = await openTestAccess(database);
    await addOrganization(access, "acme");
    const registry = testRegistry(database, { furnish: furnisher(database, Date.now) });
    const make = (name: string) =>
      writeEvents(database, (tx) => ensureRepository(registry, tx, repositoryName(name)), server);
    const template = (name: string, change: Parameters<typeof changeNamespace>[1]["template"] = {}) =>
      access.change((tx) => changeNamespace(tx, { name, template: change }));
    const shown = async (name: string) => {
      const { text, labels, revision } = await findDescription(
        database.read,
        (await findRepository(database.read, repositoryName(name))) ?? 0,
      );
      return { text, labels, revision };
    };
    const events = async () => {
      await sequenceEvents(database);
      return (await readChanges(database, { after: 0, limit: 100 })).map((change) => change.events);
    };
    return { database, access, registry, make, template, shown, events };
  }

  it("has what the nearest namespace says that says something, a part at a time", async () => {
    const { access, make, template, shown } = await start();
    await access.change((tx) => createNamespace(tx, { name: "acme/web", template: { labels: { tier: "web" } } }));
    await make("acme/early");
    await template("acme", { description: "# Acme", labels: { team: "a", constructor: "b" } });
    for (const name of ["acme/app", "acme/web/app", "acme/webs", "other/app", "app"]) await make(name);
    const none = { text: "", labels: {}, revision: 0 };
    expect(await shown("acme/app")).toEqual({ text: "# Acme", labels: { team: "a", constructor: "b" }, revision: 1 });
    expect(await shown("acme/web/app")).toEqual({ text: "# Acme", labels: { tier: "web" }, revision: 1 });
    expect(await shown("acme/webs")).toMatchObject({ labels: { team: "a" } });
    for (const name of ["acme/early", "other/app", "app"]) expect([name, await shown(name)]).toEqual([name, none]);
    // What is not given stays, none at all is something too, and null is as the namespace above says.
    await template("acme/web", { description: "", labels: {} });
    await make("acme/web/bare");
    expect(await shown("acme/web/bare")).toEqual({ text: "", labels: {}, revision: 1 });
    await template("acme/web", { description: null });
    await template("acme/web", { labels: null });
    await template("acme", { description: null });
    await make("acme/web/last");
    expect(await shown("acme/web/last")).toMatchObject({ text: "", labels: { team: "a" } });
    expect(await findNamespace(access.database.read, "acme/web")).not.toHaveProperty("template");
    // Those that exist keep what they have, and another push changes nothing.
    await make("acme/app");
    expect(await shown("acme/app")).toMatchObject({ text: "# Acme", revision: 1 });
  });

  it("has it with its own beginning, or there is neither", async () => {
    const { database, registry, make, template, shown, events } = await start();
    await template("acme", { description: "# Acme", labels: { team: "a" } });
    const failing = writeEvents(
      database,
      async (tx) => {
        await ensureRepository(registry, tx, repositoryName("acme/app"));
        throw new Error("the push is refused");
      },
      server,
    );
    expect((await Promise.allSettled([failing]))[0]).toMatchObject({ status: "rejected" });
    for (const table of ["repositories", "repository_labels", "repository_descriptions"] as const) {
      expect(await database.read.selectFrom(table).selectAll().execute()).toEqual([]);
    }
    const id = await make("acme/app");
    const target = { id: String(id), name: "acme/app" };
    expect((await events()).at(-1)).toMatchObject([
      { kind: "repository-created", repository: "acme/app" },
      { action: "description-changed", target, before: { revision: 0 }, after: { revision: 1 } },
      { action: "labels-changed", target, before: {}, after: { team: "a" } },
    ]);
    // Another of its name has what is said by then, and nothing of the one before.
    await writeEvents(
      database,
      async (tx) => {
        await removeRepository(registry, tx, repositoryName("acme/app"));
        await dropDescription(tx, id);
        await dropLabels(tx, id);
      },
      server,
    );
    await template("acme", { labels: { team: "b" }, description: null });
    await make("acme/app");
    expect(await shown("acme/app")).toEqual({ text: "", labels: { team: "b" }, revision: 1 });
  });

  it("has it once from all who first push to it at the same moment, whatever is changed meanwhile", async () => {
    const { database, access, make, template, shown, events } = await start();
    const written: Furniture[] = Array.from({ length: 5 }, (_, at) => ({
      description: `# ${String(at)}`,
      labels: { at: String(at) },
    }));
    await template("acme", written[0]);
    const name = repositoryName("acme/app");
    const describe = async () => {
      await make("acme/app");
      const given = { repository: name, text: "# Mine", labels: { mine: "yes" }, expected: 1, updatedAt: Date.now() };
      await writeEvents(database, (tx) => storeDescription(tx, database, given), server);
    };
    await Promise.all([
      ...Array.from({ length: 20 }, () => make("acme/app")),
      ...written.map((one) => template("acme", one)),
      describe(),
    ]);
    // Nobody who came later has put it back.
    expect(await shown("acme/app")).toEqual({ text: "# Mine", labels: { mine: "yes" }, revision: 2 });
    const told = (await events()).flat();
    expect(told.filter(({ kind }) => kind === "repository-created")).toHaveLength(1);
    const labels = told.flatMap((event) => ("action" in event && event.action === "labels-changed" ? event : []));
    expect(labels).toHaveLength(2);
    expect(written).toContainEqual({ description: expect.any(String), labels: labels[0]?.after as never });
    expect((await findNamespace(access.database.read, "acme"))?.revision).toBe(7);
  });
});
