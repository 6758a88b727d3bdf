import { expect, it, test } from "bun:test";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import type { Database } from "../../platform/database/database.ts";
import { addEntries } from "./add-entries.ts";
import { server } from "../../platform/events/access-event.ts";
import { auditMigrations } from "./migrations.ts";
import { cutEntries, sealEntries, sweepCut } from "./seal.ts";
import { countUnsent, syslogJob } from "./syslog-job.ts";
import { syslogMessage } from "./syslog-message.ts";
import type { EntryRow } from "./tables.ts";

const collector = { transport: "tcp", host: "127.0.0.1", port: 1 } as const;
const quiet = { signal: new AbortController().signal, progress: () => undefined };

const add = (database: Database, count: number): Promise<number> =>
  database.write((tx) =>
    addEntries(
      tx,
      Array.from({ length: count }, () => ({
        at: 1000,
        action: "tag-created",
        outcome: "done" as const,
        by: server,
        target: "v1",
      })),
    ),
  );

const idsIn = (messages: readonly Uint8Array[]): readonly number[] =>
  messages.map((message) => Number(/"id":(\d+)/.exec(Buffer.from(message).toString())?.[1]));

describeEachDatabase("the export of the audit log as syslog", (_dialect, open) => {
  it("goes on where the collector has read to, and sends again what it may not have read", async () => {
    const database = await open([auditMigrations]);
    await add(database, 1200);
    const sent: number[] = [];
    let fails = true;
    let batches = 0;
    const job = syslogJob(database, collector, async (_collector, messages) => {
      batches += 1;
      sent.push(...idsIn(messages));
      if (batches === 2 && fails) throw new Error("away");
    });
    expect(await job.hasWork?.()).toBe(true);
    expect((await Promise.allSettled([job.run(quiet)])).map(({ status }) => status)).toEqual(["rejected"]);
    expect(await countUnsent(database)).toBe(700);
    fails = false;
    await job.run(quiet);
    expect(await job.hasWork?.()).toBe(false);
    const ids = Array.from({ length: 1200 }, (_, index) => index + 1);
    expect([...new Set(sent)]).toEqual(ids);
    expect(sent).toEqual([...ids.slice(0, 1000), ...ids.slice(500)]);
    await add(database, 3);
    sent.length = 0;
    await job.run(quiet);
    expect(sent).toEqual([1201, 1202, 1203]);
  });

  it("sends nothing less where two do it at once, and does not stop at what has gone with its age", async () => {
    const database = await open([auditMigrations]);
    await add(database, 700);
    const sent: number[] = [];
    const job = syslogJob(database, collector, async (_collector, messages) => {
      await Bun.sleep(1);
      sent.push(...idsIn(messages));
    });
    await Promise.all([job.run(quiet), job.run(quiet)]);
    await job.run(quiet);
    expect(new Set(sent).size).toBe(700);
    await add(database, 10);
    await sealEntries(database);
    await cutEntries(database, { at: 5000, olderThan: 4000 });
    await sweepCut(database);
    sent.length = 0;
    await job.run(quiet);
    expect(sent).toEqual([711]);
    expect(await countUnsent(database)).toBe(0);
  });
});

test("an entry is a message of RFC 5424 in ASCII, whatever it says", () => {
  const row: EntryRow = {
    id: 7,
    at: Date.UTC(2026, 10, 29, 1, 2, 3, 4),
    action: "denied",
    outcome: "refused",
    actor_kind: "account",
    actor_id: "1",
    actor_name: "jörg ✓ 😀",
    token_id: null,
    address: "192.0.2.1",
    request_id: "request-1",
    repository: null,
    target: 'a "b"',
    times: 1,
    detail: "{}",
  };
  const text = Buffer.from(syslogMessage(row, "host name\n\u00e4.example")).toString("latin1");
  const [head = "", json = ""] = text.split(" - {");
  expect(head).toBe("<108>1 2026-11-29T01:02:03.004Z hostname.example berth - denied");
  expect(JSON.parse(`{${json}`)).toMatchObject({ id: 7, actor: { name: "jörg ✓ 😀" }, target: 'a "b"' });
  expect(text).toMatch(/^[\x20-\x7e]+$/);
  const other = Buffer.from(syslogMessage({ ...row, outcome: "done", action: "x".repeat(40) }, "")).toString();
  expect(other).toStartWith(`<110>1 2026-11-29T01:02:03.004Z - berth - ${"x".repeat(32)} - {`);
});
