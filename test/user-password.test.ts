import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startServer } from "./support/server.ts";

const berth = resolve(import.meta.dir, "../bin/berth");
const statusOf = async (url: string, authorization: string): Promise<number> =>
  (await fetch(`${url}/v2/`, { headers: { authorization } })).status;
const basic = (password: string): string => `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;

async function setPassword(data: string, name: string, password: string) {
  const child = Bun.spawn([berth, "user", "password", name, "--data", data], {
    stdin: Buffer.from(`${password}\n`),
    stdout: "pipe",
    stderr: "pipe",
  });
  return { code: await child.exited, error: await new Response(child.stderr).text() };
}

test("berth user password changes it beside a running server, and ends what was issued before", async () => {
  const data = await mkdtemp(join(tmpdir(), "berth-password-"));
  try {
    await using server = await startServer({ data, env: { BERTH_ADMIN_PASSWORD: undefined } });
    const file = join(data, "initial-admin-password");
    const first = (await readFile(file, "utf8")).trim();
    const answer = await fetch(`${server.url}/token?service=berth`, { headers: { authorization: basic(first) } });
    const { token } = (await answer.json()) as { readonly token: string };
    expect(await statusOf(server.url, `Bearer ${token}`)).toBe(200);

    expect(await setPassword(data, "ADMIN", "a new and better one")).toEqual({ code: 0, error: "" });
    expect(await statusOf(server.url, basic(first))).toBe(401);
    expect(await statusOf(server.url, basic("a new and better one"))).toBe(200);
    expect(await statusOf(server.url, `Bearer ${token}`)).toBe(401);
    expect(existsSync(file)).toBe(false);
  } finally {
    await rm(data, { recursive: true, force: true });
  }
});

test("berth user password says what is wrong, and changes nothing", async () => {
  await using server = await startServer();
  const weak = await setPassword(server.data, "admin", "short");
  expect(weak).toEqual({ code: 2, error: "berth: password: it has fewer than 8 characters\n" });
  const unknown = await setPassword(server.data, "nobody", "long enough for anyone");
  expect(unknown).toEqual({ code: 2, error: "berth: there is no such account\n" });
  expect(await statusOf(server.url, basic(server.admin.password))).toBe(200);
});

test("a data folder that is none is named, not made", async () => {
  const data = join(tmpdir(), `berth-none-${crypto.randomUUID()}`);
  const refused = await setPassword(data, "admin", "long enough for anyone");
  expect(refused).toEqual({ code: 2, error: `berth: data: there is no registry in ${data}; berth serve makes one\n` });
  expect(existsSync(data)).toBe(false);
});
