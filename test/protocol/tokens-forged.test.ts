import { describe, expect, test } from "bun:test";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServer } from "../support/server.ts";
import { challengeOf, claimsOf, getToken, headerOf, tokenReply } from "./bearer.ts";
import { type Answer, registryOf, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

const realToken = async (): Promise<string> => tokenReply(await getToken(registry, "")).token;

async function expectInvalid(token: string): Promise<void> {
  for (const target of ["/v2/", "/v2/acme/app/tags/list", "/v2/_catalog"]) {
    const answer: Answer = await registry.as(`Bearer ${token}`).send("GET", target);
    expect(challengeOf(answer).error).toBe("invalid_token");
  }
}

describe("401 with error=invalid_token", () => {
  test("alg=none, in every spelling, with and without the old signature", async () => {
    const [header = "", claims = "", signature = ""] = (await realToken()).split(".");
    for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
      const forged = { ...(JSON.parse(Buffer.from(header, "base64url").toString()) as object), alg };
      await expectInvalid(`${encode(forged)}.${claims}.`);
      await expectInvalid(`${encode(forged)}.${claims}.${signature}`);
    }
  });

  test("an HMAC with the published public key as its secret", async () => {
    const token = await realToken();
    const jwks = (await registry.send("GET", "/token/jwks.json")).text;
    const { keys } = JSON.parse(jwks) as { keys: readonly { x?: string }[] };
    const unsigned = `${encode({ ...headerOf(token), alg: "HS256" })}.${token.split(".")[1] ?? ""}`;
    for (const secret of [jwks, JSON.stringify(keys[0]), Buffer.from(keys[0]?.x ?? "", "base64url"), ""]) {
      await expectInvalid(`${unsigned}.${createHmac("sha256", secret).update(unsigned).digest("base64url")}`);
    }
  });

  test("a key of one's own, brought along in jwk, x5c, jku or x5u, under the real kid", async () => {
    const token = await realToken();
    const claims = token.split(".")[1] ?? "";
    const pairs = {
      ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
      EdDSA: generateKeyPairSync("ed25519"),
    };
    for (const [alg, { publicKey, privateKey }] of Object.entries(pairs)) {
      const jwk = publicKey.export({ format: "jwk" });
      const brought = [
        {},
        { jwk },
        { x5c: ["MIIB"] },
        { jku: "http://127.0.0.1:1/jwks" },
        { x5u: "http://127.0.0.1:1/" },
      ];
      for (const extra of brought) {
        for (const kid of [headerOf(token).kid, "../../../../dev/null", "' OR 1=1;--", undefined]) {
          const unsigned = `${encode({ typ: "JWT", alg, ...extra, kid })}.${claims}`;
          const key = alg === "ES256" ? ({ key: privateKey, dsaEncoding: "ieee-p1363" } as const) : privateKey;
          const signature = sign(alg === "ES256" ? "sha256" : undefined, Buffer.from(unsigned), key);
          await expectInvalid(`${unsigned}.${signature.toString("base64url")}`);
        }
      }
    }
  });

  test("claims that were changed after the signature", async () => {
    const token = await realToken();
    const [header = "", , signature = ""] = token.split(".");
    const wider = { ...claimsOf(token), access: [{ type: "repository", name: "acme/app", actions: ["pull", "push"] }] };
    await expectInvalid(`${header}.${encode(wider)}.${signature}`);
    await expectInvalid(`${header}.${encode({ ...claimsOf(token), exp: 9_999_999_999 })}.${signature}`);
  });

  test("a signature that was cut or changed, and parts too few or too many", async () => {
    const token = await realToken();
    const [header = "", claims = "", signature = ""] = token.split(".");
    await expectInvalid(`${header}.${claims}.${signature.slice(0, -4)}`);
    await expectInvalid(`${header}.${claims}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`);
    await expectInvalid(`${header}.${claims}`);
    await expectInvalid(`${token}.${signature}`);
  });

  test("a token for another service or of another registry", async () => {
    const data = await mkdtemp(join(tmpdir(), "berth-audience-"));
    try {
      const first = await startServer({ data });
      const { token } = tokenReply(await registryOf(first).send("GET", "/token?service=berth"));
      await first.stop();
      await using renamed = await startServer({ data, env: { BERTH_ACCESS_SERVICE: "other" } });
      const answer = await registryOf(renamed).as(`Bearer ${token}`).send("GET", "/v2/");
      expect(challengeOf(answer)).toMatchObject({ service: "other", error: "invalid_token" });
      await expectInvalid(token);
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  }, 60_000);
});

test("a token outlives a restart of its registry", async () => {
  const data = await mkdtemp(join(tmpdir(), "berth-restart-"));
  try {
    const first = await startServer({ data });
    const { token } = tokenReply(await registryOf(first).send("GET", "/token?service=berth"));
    await first.stop();
    await using second = await startServer({ data });
    expect((await registryOf(second).as(`Bearer ${token}`).send("GET", "/v2/")).status).toBe(200);
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}, 60_000);
