import { createSecretKey } from "node:crypto";
import { expect, it } from "bun:test";
import { problemOf, testClock } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { accessMigrations } from "../../access/migrations.ts";
import { createAccount } from "../../access/accounts.ts";
import { parseAccountName } from "../../access/account-name.ts";
import { fail } from "../../oci/problem.ts";
import type { Database } from "../../platform/database/database.ts";
import { eventMigrations } from "../../platform/events/migrations.ts";
import { readChanges } from "../../platform/events/consume-events.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import { type RecordingWriter, recordEvents } from "../../platform/events/record-events.ts";
import { committer } from "./commit-once.ts";
import { idempotentAnswers, keyedRequest } from "./idempotent-answers.ts";
import { apiMigrations } from "./migrations.ts";

const owners = [eventMigrations, accessMigrations, apiMigrations];
const envelope = { actor: { kind: "operator", id: "", name: "root" } } as const;
const key = createSecretKey(Buffer.alloc(32, 7));

/** Makes an account, as the routes do, and tells a secret with it. */
const make = (text: string) => async (tx: RecordingWriter) => {
  const name = parseAccountName(text) ?? fail({ code: "NAME_INVALID", given: text });
  const isNew = await createAccount(tx, { name, passwordHash: "", administrator: false, createdAt: 1 });
  if (!isNew) fail({ code: "CONFLICT", reasons: ["it is taken"] });
  recordEvents(tx, { kind: "access-changed", action: "account-created", target: { id: name, name } });
  return { name, secret: "shown-once", internal: "never sent" };
};
const encode = (value: unknown): unknown => {
  const { name, secret } = value as { readonly name: string; readonly secret: string };
  return { name, secret };
};

const namesIn = async ({ read }: Database) =>
  (await read.selectFrom("accounts").select("name").orderBy("name").execute()).map(({ name }) => name);

describeEachDatabase("the transaction of a route", (_dialect, open) => {
  const begin = async () => {
    const database = await open(owners);
    const clock = testClock();
    const answers = idempotentAnswers({ database, key, now: clock.now });
    const ask = (name: string, given: { readonly key: string; readonly principal?: string }) => {
      const keyed = keyedRequest({ key: given.key, principal: given.principal ?? "one", parts: ["POST", "/x", name] });
      if (keyed === undefined) throw new Error("there is a key");
      return committer({ database, envelope, dryRun: false, once: { answers, keyed, encode } })(make(name));
    };
    return { database, clock, answers, ask };
  };

  it("leaves nothing of a dry run, and tells what it would have done", async () => {
    const { database } = await begin();
    const dry = committer({ database, envelope, dryRun: true, once: undefined });
    expect(await dry(make("bob"))).toMatchObject({ name: "bob" });
    expect(await namesIn(database)).toEqual([]);
    await sequenceEvents(database);
    expect(await readChanges(database, { after: 0, limit: 10 })).toEqual([]);
    await committer({ database, envelope, dryRun: false, once: undefined })(make("bob"));
    expect(await problemOf(dry(make("bob")))).toMatchObject({ code: "CONFLICT" });
  });

  it("is made once with a key, however many ask at once, and all get one answer", async () => {
    const { database, ask } = await begin();
    const asked = await Promise.all(Array.from({ length: 8 }, () => ask("bob", { key: "k" })));
    expect(new Set(asked.map((value) => JSON.stringify(encode(value)))).size).toBe(1);
    expect(await namesIn(database)).toEqual(["bob"]);
    await sequenceEvents(database);
    const changes = await readChanges(database, { after: 0, limit: 10 });
    expect(changes.map((change) => [change.envelope, change.events.length])).toEqual([[envelope, 1]]);
    const rows = await database.read.selectFrom("idempotent_answers").selectAll().execute();
    expect(rows).toHaveLength(1);
    // What it keeps of a secret that is shown once, nobody reads out of the database.
    expect(JSON.stringify(rows)).not.toContain("shown-once");
    expect(await ask("bob", { key: "k" })).toEqual({ name: "bob", secret: "shown-once" });
  });

  it("is refused where the key was for something else, and is another principal's own", async () => {
    const { database, ask } = await begin();
    await ask("bob", { key: "k" });
    expect(await problemOf(ask("eve", { key: "k" }))).toEqual({ code: "IDEMPOTENCY_KEY_REUSED" });
    expect(await ask("eve", { key: "k", principal: "two" })).toMatchObject({ name: "eve" });
    expect(await namesIn(database)).toEqual(["bob", "eve"]);
  });

  it("keeps no answer of what was refused, and answers for a day", async () => {
    const { database, clock, answers, ask } = await begin();
    await ask("bob", { key: "first" });
    expect(await problemOf(ask("bob", { key: "second" }))).toMatchObject({ code: "CONFLICT" });
    expect(await database.read.selectFrom("idempotent_answers").select("id").execute()).toHaveLength(1);
    clock.advance(24 * 60 * 60_000);
    const keyed = keyedRequest({ key: "first", principal: "one", parts: ["POST", "/x", "bob"] });
    expect(keyed && (await answers.find(keyed))).toBeUndefined();
    await ask("eve", { key: "third" });
    expect(await database.read.selectFrom("idempotent_answers").select("id").execute()).toHaveLength(1);
  });

  it("is bounded: a principal has a thousand, and the oldest give way", async () => {
    const { database, answers, clock } = await begin();
    await database.write(async (tx) => {
      for (let count = 0; count < 1003; count++) {
        clock.advance(1);
        const keyed = keyedRequest({ key: `k${String(count)}`, principal: "one", parts: ["x"] });
        if (keyed !== undefined) await answers.store(tx, keyed, count);
      }
    });
    expect(await database.read.selectFrom("idempotent_answers").select("id").execute()).toHaveLength(1000);
  });
});

it.each(["", "a b", "ä", "x".repeat(256)])("%p is no key", async (given) => {
  const asked = async () => keyedRequest({ key: given, principal: "one", parts: [] });
  expect(await problemOf(asked())).toMatchObject({ code: "INPUT_INVALID" });
});
