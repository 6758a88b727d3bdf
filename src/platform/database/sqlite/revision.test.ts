import { expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { sql } from "kysely";
import { openSqlite } from "./open-sqlite.ts";

it("is another one to whoever has heard of another's commit, in whatever turn it was asked for before", async () => {
  const folder = await mkdtemp(join(tmpdir(), "berth-revision-"));
  const [one, other] = [await openSqlite(join(folder, "berth.sqlite")), await openSqlite(join(folder, "berth.sqlite"))];
  const seen = Promise.withResolvers<number | undefined>();
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: () => seen.resolve(one.revision?.()) },
  });
  const client = await Bun.connect({ hostname: "127.0.0.1", port: server.port, socket: { data: () => undefined } });
  try {
    await other.write((tx) => sql`create table notes (text text)`.execute(tx));
    await nextTurn();
    const before = one.revision?.();
    await other.write((tx) => sql`insert into notes values ('note')`.execute(tx), { survives: "process" });
    client.write("heard of it");
    expect(await seen.promise).not.toBe(before);
  } finally {
    client.terminate();
    server.stop(true);
    await Promise.all([one.close(), other.close()]);
    await rm(folder, { recursive: true });
  }
});
