import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { digestOf, pushBlob, startUpload } from "../protocol/content.ts";
import { freshRepository, useRegistry, withQuery } from "../protocol/registry-client.ts";

const registry = useRegistry();

/** What somebody could write into the database who may write there, and nowhere else. */
const values: Readonly<Record<string, readonly (string | number | null)[]>> = {
  blob_key: ["../sentinel", "../../sentinel", "/etc/passwd", "..", "", "a\0b", "A".repeat(32), "x".repeat(100_000)],
  state: ["../../sentinel", '{"__proto__":{"polluted":1}}', "\0", "{".repeat(100_000)],
  algorithm: ["md5", "", "__proto__", "sha256\0"],
  digest: ["sha256:../../x", "md5:abc", "", `sha256:${"0".repeat(64)}`],
  size_bytes: [-1, 2 ** 60, Number.MAX_SAFE_INTEGER, 1.5],
  held_until: [Number.MAX_SAFE_INTEGER, -(2 ** 60)],
};

for (const [column, all] of Object.entries(values)) {
  test(`an upload whose ${column} was tampered with is an error, and nothing outside the store is touched`, async () => {
    const { data, log } = registry.server();
    const sentinel = join(data, "sentinel");
    await Bun.write(sentinel, "untouched");
    for (const value of all) {
      const repository = freshRepository();
      const location = await startUpload(registry, repository);
      expect((await registry.send("PATCH", location, { body: "abc" })).status).toBe(202);
      const id = /\/([^/?]+)(?:\?.*)?$/.exec(location)?.[1] ?? "";
      {
        using database = new Database(join(data, "berth.sqlite"));
        database.run("PRAGMA busy_timeout = 10000");
        const { changes } = database.run(`UPDATE uploads SET ${column} = ? WHERE id = ?`, [value, id]);
        expect(changes).toBe(1);
      }
      const requests = [
        ["GET", location],
        ["PATCH", location],
        ["PUT", withQuery(location, `digest=${digestOf("abc")}`)],
        ["DELETE", location],
      ] as const;
      for (const [method, target] of requests) {
        const answer = await registry.send(method, target, method === "PATCH" || method === "PUT" ? { body: "" } : {});
        // Every error is one of the protocol's: `send` looks at that.
        expect(answer.text).not.toMatch(/SQLITE|\bat .*\.ts|sentinel|passwd/);
        if (answer.status === 500) expect(answer.text).toContain('"code":"UNKNOWN"');
      }
      expect(await Bun.file(sentinel).text()).toBe("untouched");
    }
    expect(log().filter(({ event }) => event === "crashed")).toEqual([]);
    await pushBlob(registry, freshRepository(), Buffer.from(column));
  }, 60_000);
}

test("jobs whose rows were tampered with do not end the server", async () => {
  const { data, log } = registry.server();
  {
    using database = new Database(join(data, "berth.sqlite"));
    database.run("PRAGMA busy_timeout = 10000");
    database.run("UPDATE jobs SET progress = ?, error = ?", ['{"__proto__":{"polluted":1}}', "\0"]);
    database.run("UPDATE jobs SET run_at = 0, failures = ?, held_until = 0", [2 ** 60]);
    database.run("INSERT INTO jobs (name, run_at) VALUES ('../../sentinel', 0)");
  }
  await Bun.sleep(3000);
  expect((await registry.send("GET", "/v2/")).status).toBe(200);
  expect(log().filter(({ event }) => event === "crashed")).toEqual([]);
  await pushBlob(registry, freshRepository(), Buffer.from("jobs"));
});
