import { afterAll, beforeAll, describe, expect, it } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { codeOf } from "../../src/access/second-factor/totp.ts";
import { fromBase32 } from "./base32.ts";
import { withoutSettings } from "../support/server.ts";
import { freshName, password, useApi } from "./checked-api.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

let config = "";
beforeAll(async () => {
  config = await mkdtemp(join(tmpdir(), "berth-config-"));
});
afterAll(() => rm(config, { recursive: true, force: true }));

async function run(args: readonly string[], input = "", env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const child = Bun.spawn([berth, ...args], {
    env: { ...withoutSettings(process.env), XDG_CONFIG_HOME: config, ...env },
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, error };
}

const lines = ({ out }: Ran): readonly unknown[] =>
  out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);

describe("berth", () => {
  const api = useApi();
  const at = () => ["--server", api.registry.server().url];

  it("asks nobody before it has signed in, and says how", async () => {
    const { code, out, error } = await run(["user", "list", ...at()]);
    expect([code, out, error]).toEqual([
      2,
      "",
      `berth: nobody has signed in to ${api.registry.server().url}; berth login does\n`,
    ]);
    const wrong = await run(["login", "--username", "admin", ...at()], "not the password\n");
    expect([wrong.code, wrong.out]).toEqual([2, ""]);
    expect(wrong.error).toContain("authentication required");
    expect((await run(["login", "--username", "admin"])).error).toContain("--server or BERTH_SERVER");
    expect((await run(["user", "list", "--server", "http://127.0.0.1:1/x"])).code).toBe(2);
  });

  it("administers accounts of a server", async () => {
    const name = freshName("cli");
    const signedIn = await run(
      ["login", "--username", "admin", ...at(), "--json"],
      `${api.registry.server().admin.password}\n`,
    );
    expect(lines(signedIn)).toMatchObject([{ server: api.registry.server().url, name: "admin" }]);
    expect((await stat(join(config, "berth", "sessions.json"))).mode & 0o777).toBe(0o600);
    const env = { BERTH_SERVER: api.registry.server().url };
    const made = await run(["user", "create", name, "--email", "a@example.org", "--json"], `${password}\n`, env);
    expect(lines(made)).toMatchObject([{ name, email: "a@example.org", disabled: false }]);
    expect(await run(["user", "create", name], `${password}\n`, env)).toMatchObject({
      code: 2,
      error: `berth: there is an account ${name} already\n`,
    });
    expect((await run(["user", "list", "--prefix", name], "", env)).out).toBe(`${name}  a@example.org\n`);
    expect(lines(await run(["user", "update", name, "--email", "", "--display-name", "A", "--json"], "", env))).toEqual(
      [expect.not.objectContaining({ email: expect.anything() })],
    );
    await run(["user", "disable", name], "", env);
    expect(lines(await run(["user", "list", "--disabled", "--json"], "", env))).toMatchObject([{ name }]);
    await run(["user", "enable", name], "", env);
    expect((await run(["user", "password", name], "another-long-password\n", env)).out).toContain("is changed");
    expect((await api.ask("GET", "/me", { as: [name, "another-long-password"] })).status).toBe(200);
    expect((await run(["user", "delete", name, "--dry-run"], "", env)).out).toBe(`would remove 1 account ${name}\n`);
    expect((await run(["user", "show", name], "", env)).code).toBe(0);
    expect((await run(["user", "delete", name], "", env)).out).toBe(`removed 1 account ${name}\n`);
    expect(await run(["user", "show", name], "", env)).toMatchObject({
      code: 2,
      error: "berth: there is no such account\n",
    });
    await run(["logout"], "", env);
    expect((await run(["user", "list"], "", env)).code).toBe(2);
  });

  it("signs in with a code where the account asks for one, and takes that from it", async () => {
    const name = freshName("careful");
    const as = [name, password] as const;
    await api.ask("POST", "/accounts", { json: { name, password } });
    const made = await api.ask("POST", "/me/second-factor", { as, json: { password } });
    const { secret } = made.json() as { readonly secret: string };
    const code = codeOf(fromBase32(secret), Math.floor(Date.now() / 30_000));
    const confirmed = await api.ask("POST", "/me/second-factor/confirmation", { as, json: { code } });
    const { recoveryCodes } = confirmed.json() as { readonly recoveryCodes: readonly string[] };
    const logIn = (...more: readonly string[]) => run(["login", "--username", name, ...at(), ...more], `${password}\n`);
    const without = await logIn();
    expect([without.code, without.out]).toEqual([2, ""]);
    expect(without.error).toContain("--code");
    expect((await logIn("--code", recoveryCodes[0] ?? "")).code).toBe(0);
    const reset = await run(["user", "reset-second-factor", name, "--data", api.registry.server().data]);
    expect(reset.out).toBe(`removed 1 second factor ${name}\n`);
    expect((await logIn()).code).toBe(0);
  });

  it("shows a server a token, in place of a session", async () => {
    const name = freshName("program");
    const as = [name, password] as const;
    await api.ask("POST", "/accounts", { json: { name, password } });
    const made = await api.ask("POST", "/tokens", { as, json: { name: "ci", scopes: ["**:read,create"] } });
    const { token, id } = made.json() as { readonly token: string; readonly id: string };
    const env = { BERTH_SERVER: api.registry.server().url, BERTH_TOKEN: `${token}\n` };
    expect(await run(["repo", "create", `${name}/app`], "", env)).toMatchObject({ code: 0, error: "" });
    expect(lines(await run(["repo", "list", "--json"], "", env))).toMatchObject([{ name: `${name}/app` }]);
    expect((await run(["user", "list"], "", env)).error).toStartWith("berth: ");
    for (const wrong of ["not a token", `${token}x`, "berth_pat_"]) {
      const { code, out, error } = await run(["repo", "list"], "", { ...env, BERTH_TOKEN: wrong });
      expect([code, out]).toEqual([2, ""]);
      expect(error).not.toContain(wrong);
    }
    // It counts before a session that is kept.
    await run(["login", "--username", "admin", ...at()], `${api.registry.server().admin.password}\n`);
    expect((await run(["user", "list"], "", env)).code).toBe(2);
    await run(["logout"], "", env);
    await api.ask("DELETE", `/tokens/${id}`, { as });
    expect((await run(["repo", "list"], "", env)).error).toContain("authentication required");
  });

  it("ends without a word when nobody reads on", async () => {
    const data = ["--data", api.registry.server().data];
    for (const args of [
      ["user", "list", ...data],
      ["audit", "list", ...data],
      ["audit", "export", ...data],
      ["version"],
    ]) {
      const child = Bun.spawn(["bash", "-c", 'set -o pipefail; "$0" "$@" | true', berth, ...args], {
        env: { ...withoutSettings(process.env), XDG_CONFIG_HOME: config },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const said = await new Response(child.stderr).text();
      expect([args[0], await child.exited, said]).toEqual([args[0], 0, ""]);
    }
  });

  it("does the same on the data folder, beside the server, for whoever has that", async () => {
    const name = freshName("local");
    const data = ["--data", api.registry.server().data];
    const made = await run(["user", "create", name, ...data, "--json"], `${password}\n`);
    expect(lines(made)).toEqual([(await api.ask("GET", `/accounts/${name}`)).json()]);
    const env = { BERTH_SERVER: "http://127.0.0.1:1" };
    expect(lines(await run(["user", "list", "--prefix", name, ...data, "--json"], "", env))).toHaveLength(1);
    expect((await run(["user", "create", "-x", ...data], `${password}\n`)).code).not.toBe(0);
    expect((await run(["user", "create", "x!", ...data], `${password}\n`)).error).toStartWith("berth: name: must be");
    expect((await run(["user", "delete", "admin", ...data])).error).toContain("last administrator");
    expect((await run(["user", "delete", name, ...data])).code).toBe(0);
  });
});
