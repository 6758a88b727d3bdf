import { expect, it } from "bun:test";
import { missingProcessTable } from "../../../test/protocol/server-process.ts";
import { requirement } from "../../../test/support/requirement.ts";
import { steerToNewest } from "./steer-connections.ts";

const listen = (name: string, port: number) =>
  Bun.serve({ hostname: "127.0.0.1", port, reusePort: true, fetch: () => new Response(name) });

/** Who answers, connection by connection. */
async function answersOf(port: number): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (let round = 0; round < 60; round++) {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
    const name = await answer.text();
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

requirement("steering", missingProcessTable, () => {
  it("gives every new connection to the one that came last, again and again", async () => {
    let old = listen("0", 0);
    const port = old.port ?? 0;
    try {
      for (const name of ["1", "2", "3"]) {
        const next = listen(name, port);
        // A filter of before counts from then on too, so only the first pair shows what it is without.
        if (name === "1") expect(Object.keys(await answersOf(port)).toSorted()).toEqual(["0", "1"]);
        expect(await steerToNewest(port)).toBe(true);
        expect(await answersOf(port)).toEqual({ [name]: 60 });
        await old.stop(true);
        old = next;
        expect(await answersOf(port)).toEqual({ [name]: 60 });
      }
    } finally {
      await old.stop(true);
    }
  });

  it("leaves a port alone that nobody shares, or that more do than the two", async () => {
    const servers = [listen("a", 0)];
    const port = servers[0]?.port ?? 0;
    try {
      expect(await steerToNewest(port)).toBe(false);
      servers.push(listen("b", port), listen("c", port));
      expect(await steerToNewest(port)).toBe(false);
      expect(await steerToNewest(1)).toBe(false);
    } finally {
      for (const server of servers) await server.stop(true);
    }
  });
});
