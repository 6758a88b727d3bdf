import { expect, it } from "bun:test";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import type { Database, Writer } from "../../platform/database/database.ts";
import { addEntries } from "./add-entries.ts";
import { server } from "../../platform/events/access-event.ts";
import { auditMigrations } from "./migrations.ts";
import { cutEntries, hasOldEntries, hasUnsealed, sealEntries, sweepCut } from "./seal.ts";
import { verifyAudit } from "./verify.ts";

const add = (database: Database, count: number, at = 1000): Promise<number> =>
  database.write((tx) =>
    addEntries(
      tx,
      Array.from({ length: count }, (_, index) => ({
        at: at + index,
        action: "tag-created",
        outcome: "done" as const,
        by: server,
        target: `v${String(index)}`,
      })),
    ),
  );

/** What somebody with the database in hand may do, and what is said of it. Entries 1 to 5, 6 to 10 and 11 to 15 are sealed, 16 to 20 not. */
const attacks: Readonly<Record<string, { readonly attack: (tx: Writer) => Promise<unknown>; readonly says: unknown }>> =
  {
    "an altered entry": {
      attack: (tx) => tx.updateTable("audit_entries").set({ actor_name: "nobody" }).where("id", "=", 7).execute(),
      says: [{ kind: "altered-entries", seal: 2, from: 6, to: 10 }],
    },
    "a removed entry": {
      attack: (tx) => tx.deleteFrom("audit_entries").where("id", "=", 8).execute(),
      says: [{ kind: "missing-entry", id: 8, seal: 2 }],
    },
    "two entries that change places": {
      attack: async (tx) => {
        for (const [from, to] of [
          [12, 99],
          [13, 12],
          [99, 13],
        ] as const) {
          await tx.updateTable("audit_entries").set({ id: to }).where("id", "=", from).execute();
        }
      },
      says: [{ kind: "altered-entries", seal: 3, from: 11, to: 15 }],
    },
    "an inserted entry, with others moved up": {
      attack: async (tx) => {
        for (let id = 20; id >= 4; id--) {
          await tx
            .updateTable("audit_entries")
            .set({ id: id + 1 })
            .where("id", "=", id)
            .execute();
        }
        const row = await tx.selectFrom("audit_entries").selectAll().where("id", "=", 1).executeTakeFirstOrThrow();
        await tx
          .insertInto("audit_entries")
          .values({ ...row, id: 4 })
          .execute();
      },
      says: [
        { kind: "altered-entries", seal: 1, from: 1, to: 5 },
        { kind: "altered-entries", seal: 2, from: 6, to: 10 },
        { kind: "altered-entries", seal: 3, from: 11, to: 15 },
      ],
    },
    "a removed seal": {
      attack: (tx) => tx.deleteFrom("audit_seals").where("number", "=", 2).execute(),
      says: [{ kind: "broken-chain", seal: 3 }],
    },
    "a removed tail": {
      attack: (tx) => tx.deleteFrom("audit_entries").where("id", ">", 17).execute(),
      says: [{ kind: "missing-tail", after: 17, lastId: 20 }],
    },
    "a tail removed with its seal and the count": {
      attack: async (tx) => {
        await tx.deleteFrom("audit_entries").where("id", ">", 10).execute();
        await tx.deleteFrom("audit_seals").where("number", "=", 3).execute();
        await tx.updateTable("audit_state").set({ last_id: 10 }).execute();
      },
      says: [{ kind: "unknown-head", seal: 3 }],
    },
    "a moved beginning": {
      attack: (tx) =>
        tx
          .updateTable("audit_cut")
          .set({ digest: `sha256:${"1".repeat(64)}` })
          .execute(),
      says: [{ kind: "altered-entries", seal: 1, from: 1, to: 5 }],
    },
  };

describeEachDatabase("the chain of the audit log", (_dialect, open) => {
  async function start() {
    const database = await open([auditMigrations]);
    for (const at of [1000, 2000, 3000]) {
      await add(database, 5, at);
      await Promise.all([sealEntries(database), sealEntries(database)]);
    }
    await add(database, 5, 4000);
    return database;
  }

  it("proves what was sealed, and tells what was not yet", async () => {
    const database = await start();
    const verified = await verifyAudit(database);
    expect(verified).toMatchObject({ faults: [], entries: 20, unsealed: 5, head: { number: 3 } });
    expect(await hasUnsealed(database)).toBe(true);
    expect(await sealEntries(database)).toBe(5);
    expect(await hasUnsealed(database)).toBe(false);
    expect(await sealEntries(database)).toBe(0);
    expect((await verifyAudit(database, [verified.head])).faults).toEqual([]);
  });

  for (const [what, { attack, says }] of Object.entries(attacks)) {
    it(`shows ${what}`, async () => {
      const database = await start();
      const { head } = await verifyAudit(database);
      await database.write(attack);
      expect((await verifyAudit(database, [head])).faults as unknown).toEqual(says);
    });
  }

  it("goes on behind entries that have gone with their age, whole seals at a time", async () => {
    const database = await start();
    const { head } = await verifyAudit(database);
    expect(await cutEntries(database, { at: 9000, olderThan: 3002 })).toBe(10);
    await sweepCut(database);
    const ids = await database.read.selectFrom("audit_entries").select("id").orderBy("id").execute();
    expect(ids.map(({ id }) => id)).toEqual(Array.from({ length: 12 }, (_, index) => index + 11));
    expect(await verifyAudit(database, [head])).toMatchObject({ faults: [], entries: 12, head });
    await sealEntries(database);
    expect(await verifyAudit(database, [head])).toMatchObject({ faults: [], unsealed: 0, head: { number: 4 } });
    // Another cut's digest proves nothing.
    await database.write((tx) => tx.deleteFrom("audit_entries").where("id", "=", 11).execute());
    expect((await verifyAudit(database)).faults).toEqual([{ kind: "missing-entry", id: 11, seal: 3 }]);
  });

  it("tells that something has grown too old where nothing new comes", async () => {
    const database = await start();
    await sealEntries(database);
    expect(await hasUnsealed(database)).toBe(false);
    expect([await hasOldEntries(database, 1), await hasOldEntries(database, 3002)]).toEqual([false, true]);
    await cutEntries(database, { at: 9000, olderThan: 3002 });
    // What was given up is still there.
    expect(await hasOldEntries(database, 1)).toBe(true);
    await sweepCut(database);
    expect(await hasOldEntries(database, 1)).toBe(false);
  });

  it("is sealed and proven in pieces where there is much", async () => {
    const database = await open([auditMigrations]);
    await add(database, 12_345);
    expect(await sealEntries(database)).toBe(12_345);
    expect(await verifyAudit(database)).toMatchObject({
      faults: [],
      entries: 12_345,
      unsealed: 0,
      head: { number: 2 },
    });
  }, 60_000);
});
