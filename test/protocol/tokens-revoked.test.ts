import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { startServer } from "../support/server.ts";
import { challengeOf, tokenReply } from "./bearer.ts";
import { type Answer, basic, registryOf } from "./registry-client.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");

async function changePassword(data: string, password: string): Promise<number> {
  const child = Bun.spawn([berth, "user", "password", "admin", "--data", data], {
    stdin: Buffer.from(`${password}\n`),
    stdout: "ignore",
    stderr: "ignore",
  });
  return child.exited;
}

test("a new password ends the old one at once and the tokens that came of it, and revokes refresh tokens: 4xx", async () => {
  await using server = await startServer();
  const admin = registryOf(server);
  const refresh = (token: string): Promise<Answer> =>
    admin.as(undefined).send("POST", "/token", {
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: `grant_type=refresh_token&service=berth&client_id=test&refresh_token=${encodeURIComponent(token)}`,
    });
  const got = await admin.send("GET", "/token?service=berth&client_id=test&offline_token=true");
  const { refresh_token: refreshToken = "", access_token: accessToken } = tokenReply(got);
  expect((await admin.as(`Bearer ${accessToken}`).send("GET", "/v2/")).status).toBe(200);
  expect((await refresh(refreshToken)).status).toBe(200);
  expect(await changePassword(server.data, "another-long-password-of-some-kind")).toBe(0);
  expect((await admin.send("GET", "/v2/")).status).toBe(401);
  expect((await admin.send("GET", "/token?service=berth")).status).toBe(401);
  const outlived = await admin.as(`Bearer ${accessToken}`).send("GET", "/v2/");
  expect(challengeOf(outlived).error).toBe("invalid_token");
  const revoked = await refresh(refreshToken);
  expect([400, 401]).toContain(revoked.status);
  expect(revoked.text).not.toContain("access_token");
  const renewed = admin.as(basic("admin", "another-long-password-of-some-kind"));
  expect((await renewed.send("GET", "/v2/")).status).toBe(200);
}, 60_000);
