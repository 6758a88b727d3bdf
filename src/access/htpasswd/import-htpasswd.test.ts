import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openTestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { accessMigrations } from "../migrations.ts";
import { importHtpasswd } from "./import-htpasswd.ts";
import { parseHtpasswd } from "./parse-htpasswd.ts";

setDefaultTimeout(30_000);

/** As `htpasswd -B` writes it: of Apache's own prefix. */
const hashOf = async (password: string): Promise<string> =>
  (await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 })).replace("$2b$", "$2y$");
const right = "from the file of distribution";

describe("parseHtpasswd", () => {
  test("tells of each line that will not do why, and nothing that stands in it", async () => {
    const hash = await hashOf(right);
    const text = [
      `ann:${hash}`,
      "",
      "# a comment",
      ` Bob : ${hash}`.replace(" : ", ":"),
      "secret-without-colon",
      `ANN:${hash}`,
      "cleo:$apr1$abcdefgh$0123456789012345678901",
      "dora:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
      "../eve:x",
      `fay:${hash.replace("$04$", "$31$")}`,
      "gus:secret-in-plain",
    ].join("\r\n");
    const { entries, refused } = parseHtpasswd(text);
    expect(entries.map(({ name, line }) => `${line}: ${name}`)).toEqual(["1: ann", "4: bob"]);
    expect(refused.map(({ line, reason }) => `${line}: ${reason}`)).toEqual([
      "5: it has no colon",
      "6: a line before it has the account ann",
      "7: the hash of cleo is not bcrypt, as htpasswd -B writes it",
      "8: the hash of dora is not bcrypt, as htpasswd -B writes it",
      "9: its name is none that an account can have",
      "10: the hash of fay has a cost that is not 4 to 14",
      "11: the hash of gus is not bcrypt, as htpasswd -B writes it",
    ]);
    expect(JSON.stringify(refused)).not.toContain("secret");
  });
});

describeEachDatabase("importHtpasswd", (_dialect, open) => {
  test("makes accounts once, whose passwords stay, and get a hash of ours with the first sign-in", async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const { id } = await access.addAccount("bob", "of the database");
    const text = `ann:${await hashOf(right)}\nbob:${await hashOf(right)}\n`;
    expect(await importHtpasswd(access.database, text, 1)).toEqual({
      created: ["ann"],
      existing: ["bob"],
      refused: [],
    });
    expect(await importHtpasswd(access.database, text, 2)).toMatchObject({ created: [], existing: ["ann", "bob"] });
    const signIn = (name: string, password: string) =>
      access.verifyPassword({ name, password, remoteAddress: "192.0.2.1" });
    expect(await signIn("bob", right)).toEqual({ kind: "refused" });
    expect(await signIn("bob", "of the database")).toMatchObject({ account: { id } });

    const hashes = (): Promise<readonly { readonly password_hash: string }[]> =>
      access.database.read.selectFrom("accounts").select("password_hash").where("name", "=", "ann").execute();
    expect(await signIn("ann", "wrong")).toEqual({ kind: "refused" });
    expect((await hashes())[0]?.password_hash).toStartWith("$2y$");
    expect(await signIn("ANN", right)).toMatchObject({ kind: "account", account: { name: "ann" } });
    expect((await hashes())[0]?.password_hash).toStartWith("$argon2id$");
    const again = await openTestAccess(access.database);
    expect(await again.verifyPassword({ name: "ann", password: right, remoteAddress: "192.0.2.1" })).toMatchObject({
      kind: "account",
    });
  });

  test("a password of more than 72 bytes, of which bcrypt knows the first alone, is refused", async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const long = "x".repeat(80);
    await importHtpasswd(access.database, `ann:${await hashOf(long.slice(0, 72))}`, 1);
    for (const password of [long, `${long.slice(0, 79)}y`])
      expect(await access.verifyPassword({ name: "ann", password, remoteAddress: "192.0.2.1" })).toEqual({
        kind: "refused",
      });
  });
});
