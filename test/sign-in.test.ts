import { expect, test } from "bun:test";
import { startServer, type TestServer } from "./support/server.ts";

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;

const ping = (server: TestServer, headers: Readonly<Record<string, string>>): Promise<Response> =>
  fetch(`${server.url}/v2/`, { headers });

test("guessing passwords ends in 429 with Retry-After, whatever address the client claims to have", async () => {
  await using server = await startServer();
  const { username, password } = server.admin;
  const right = basic(username, password);
  expect((await ping(server, { authorization: right })).status).toBe(200);
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const name = ["admin", "Admin", "ADMIN", " admin "][attempt % 4] ?? "";
    const address = `203.0.113.${String(attempt)}`;
    const claims = { "x-forwarded-for": address, "x-real-ip": address, forwarded: `for=${address}` };
    const answer = await ping(server, { authorization: basic(name, `wrong ${String(attempt)}`), ...claims });
    statuses.push(answer.status);
  }
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), ...Array.from({ length: 10 }, () => 429)]);
  for (const path of ["/v2/", "/token?service=berth"]) {
    const blocked = await fetch(`${server.url}${path}`, { headers: { authorization: right } });
    expect(blocked.status).toBe(429);
    const seconds = Number(blocked.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(15 * 60);
    expect(await blocked.json()).toMatchObject({ errors: [{ code: "TOOMANYREQUESTS" }] });
  }
  expect((await ping(server, {})).status).toBe(401);
}, 30_000);

test("an account that does not exist has the answer of a wrong password, headers included", async () => {
  await using server = await startServer();
  for (const path of ["/v2/", "/token?service=berth"]) {
    const answers = await Promise.all(
      ["admin", "nobody"].map(async (name) => {
        const answer = await fetch(`${server.url}${path}`, { headers: { authorization: basic(name, "wrong") } });
        const headers = [...answer.headers].filter(([header]) => header !== "date" && header !== "x-request-id");
        return { status: answer.status, headers, body: await answer.text() };
      }),
    );
    expect(answers[0]?.status).toBe(401);
    expect(answers[1]).toEqual(answers[0]);
  }
}, 30_000);

test("a password of a megabyte is refused at once", async () => {
  await using server = await startServer();
  const form = new URLSearchParams({ grant_type: "password", username: "admin", password: "x".repeat(1024 * 1024) });
  const answer = await fetch(`${server.url}/token`, { method: "POST", body: form });
  expect(answer.status).toBe(400);
}, 30_000);
