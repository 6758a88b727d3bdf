import { afterAll, beforeAll, describe, expect, it, setDefaultTimeout } from "bun:test";
import type { Algorithm, Mischief, Signing } from "../../../test/openid/issuer-process.ts";
import { startIssuer, type TestIssuer } from "../../../test/openid/issuer.ts";
import { testClock } from "../../../test/support/access.ts";
import { openIssuer } from "./issuer.ts";
import type { VerifiedToken } from "./verify-token.ts";

/** Keys take their time on a busy machine. */
setDefaultTimeout(60_000);

const audience = "https://registry.example";
const expected = { audiences: [audience], maxAgeSeconds: 3600 };

let issuer: TestIssuer;
beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(() => issuer[Symbol.asyncDispose]());

interface Opening {
  readonly allow?: readonly string[];
  readonly wholeMs?: number;
}

function open(
  at: Pick<TestIssuer, "url" | "caFile"> = issuer,
  { allow = ["127.0.0.1"], wholeMs = 30_000 }: Opening = {},
) {
  const clock = testClock();
  const states: (string | undefined)[] = [];
  const opened = openIssuer(
    { issuer: at.url, allow, ...(at.caFile !== undefined && { caFile: at.caFile }) },
    { now: clock.now, onState: (problem) => void states.push(problem), wholeMs },
  );
  return { ...opened, clock, states };
}

const outcomeOf = (verified: VerifiedToken): string => (verified.kind === "refused" ? verified.fault : verified.kind);
const nowSeconds = (): number => Math.floor(Date.now() / 1000);

async function outcome(claims: Readonly<Record<string, unknown>>, signing?: Signing): Promise<string> {
  return outcomeOf(await open().verify(await issuer.sign(claims, signing), expected));
}

describe("a token of an issuer", () => {
  it("is good with its claims, for each of the audiences", async () => {
    const verified = await open().verify(await issuer.sign({ aud: audience, sub: "x", repository: "a/b" }), expected);
    expect(verified).toMatchObject({ kind: "verified", claims: { iss: issuer.url, sub: "x", repository: "a/b" } });
    expect(await outcome({ aud: ["other", audience] })).toBe("verified");
  });

  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    ["no audience", {}, "claims"],
    ["another audience", { aud: "https://registry.example.org" }, "audience"],
    ["the beginning of the audience", { aud: audience.slice(0, -1) }, "audience"],
    ["an audience that is no text", { aud: { [audience]: true } }, "audience"],
    ["another issuer", { aud: audience, iss: "https://another.example" }, "issuer"],
    ["an issuer in a list", { aud: audience, iss: ["http://127.0.0.1"] }, "issuer"],
    ["an end that has passed", { aud: audience, exp: nowSeconds() - 61 }, "expired"],
    ["no end", { aud: audience, exp: undefined }, "claims"],
    ["an end that is text", { aud: audience, exp: "2999-01-01" }, "claims"],
    ["a beginning that has not come", { aud: audience, nbf: nowSeconds() + 600 }, "not-yet"],
    ["a making that has not come", { aud: audience, iat: nowSeconds() + 600 }, "not-yet"],
    ["no time of its making", { aud: audience, iat: undefined }, "claims"],
    ["a making too long ago", { aud: audience, iat: nowSeconds() - 3700 }, "too-old"],
    ["no subject", { aud: audience, sub: undefined }, "claims"],
    ["an empty subject", { aud: audience, sub: "" }, "claims"],
  ])("is refused with %s", async (_what, claims, fault) => {
    expect(await outcome(claims)).toBe(fault);
  });

  it.each<[string, Signing, string]>([
    ["not signed", { algorithm: "none" }, "algorithm"],
    ["signed with the public key as a secret", { algorithm: "HS256" }, "algorithm"],
    ["signed with another's key", { key: "unpublished" }, "key"],
    ["signed with another's key under the right name", { key: "unpublished", header: { kid: "key-2" } }, "signature"],
    ["bringing its key along", { key: "unpublished", header: { kid: "key-2", jwk: { kty: "RSA" } } }, "signature"],
    ["naming where its key is", { key: "unpublished", header: { jku: "http://127.0.0.1:1/keys" } }, "key"],
    ["of another type", { header: { typ: "logout+jwt" } }, "malformed"],
    ["with a header that must be understood", { header: { crit: ["x"], x: 1 } }, "algorithm"],
    ["with an algorithm in other letters", { header: { alg: "rs256" } }, "algorithm"],
    ["with an algorithm that its key is not for", { header: { alg: "PS256" } }, "key"],
  ])("is refused %s", async (_what, signing, fault) => {
    expect(await outcome({ aud: audience }, signing)).toBe(fault);
  });

  it("is refused where it is none, or a huge one", async () => {
    const { verify } = open();
    const token = await issuer.sign({ aud: audience });
    const [header = "", payload = "", signature = ""] = token.split(".");
    for (const text of [
      "",
      "a",
      "a.b.c",
      `${header}.${payload}`,
      `${token}.${signature}`,
      `${token}${"A".repeat(20_000)}`,
    ])
      expect(await verify(text, expected)).toEqual({ kind: "refused", fault: "malformed" });
    const changed = `${header}.${Buffer.from('{"sub":"x"}').toString("base64url")}.${signature}`;
    expect(outcomeOf(await verify(changed, expected))).toBe("signature");
  });

  it("is an access token's where those are wanted alone", async () => {
    const token = await issuer.sign({ aud: audience }, { header: { typ: "at+jwt" } });
    const { verify } = open();
    expect(outcomeOf(await verify(token, expected))).toBe("malformed");
    expect(outcomeOf(await verify(token, { ...expected, accessTokens: true }))).toBe("verified");
    const logout = await issuer.sign({ aud: audience }, { header: { typ: "logout+jwt" } });
    expect(outcomeOf(await verify(logout, { ...expected, accessTokens: true }))).toBe("malformed");
  });

  it("may be signed by each of the algorithms, and not with a key that is too weak", async () => {
    await using other = await startIssuer();
    for (const [algorithm, wanted] of [
      ["PS512", "verified"],
      ["ES256", "verified"],
      ["ES384", "verified"],
      ["EdDSA", "verified"],
      ["weak", "key"],
    ] satisfies [Algorithm, string][]) {
      await other.useKey(algorithm);
      const token = await other.sign({ aud: audience });
      expect([algorithm, outcomeOf(await open(other).verify(token, expected))]).toEqual([algorithm, wanted]);
    }
  });
});

describe("an issuer's keys", () => {
  it("are asked for once, and again after ten minutes", async () => {
    await using other = await startIssuer();
    const { verify, clock } = open(other);
    const token = await other.sign({ aud: audience, exp: nowSeconds() + 3600 });
    await Promise.all(Array.from({ length: 20 }, () => verify(token, expected)));
    expect(await other.asked()).toEqual(["discovery", "keys"]);
    clock.advance(9 * 60_000);
    expect(outcomeOf(await verify(token, expected))).toBe("verified");
    expect(await other.asked()).toHaveLength(2);
    clock.advance(2 * 60_000);
    expect(outcomeOf(await verify(token, expected))).toBe("verified");
    expect(await other.asked()).toHaveLength(4);
  });

  it("are asked for again for one that nobody knows, but no more often than every 30 seconds", async () => {
    await using other = await startIssuer();
    const { verify, clock } = open(other);
    const token = await other.sign({ aud: audience, exp: nowSeconds() + 3600 });
    expect(outcomeOf(await verify(token, expected))).toBe("verified");
    await other.useKey("ES256");
    const next = await other.sign({ aud: audience, exp: nowSeconds() + 3600 });
    expect(outcomeOf(await verify(next, expected))).toBe("key");
    expect(await other.asked()).toHaveLength(2);
    clock.advance(30_000);
    expect(outcomeOf(await verify(next, expected))).toBe("verified");
    // What is no longer published is no longer good.
    expect(outcomeOf(await verify(token, expected))).toBe("key");
    for (const kid of ["a", "b", "c"]) {
      const strange = await other.sign({ aud: audience }, { header: { kid } });
      expect(outcomeOf(await verify(strange, expected))).toBe("key");
    }
    expect(await other.asked()).toHaveLength(4);
  });

  it("are not asked for by a token that no key could make good", async () => {
    await using other = await startIssuer();
    const { verify } = open(other);
    for (const signing of [{ algorithm: "none" }, { algorithm: "HS256" }, { header: { typ: "at+jwt" } }] as const)
      await verify(await other.sign({ aud: audience }, signing), expected);
    expect(await other.asked()).toEqual([]);
  });
});

describe("an issuer", () => {
  it.each<[string, Mischief, RegExp]>([
    ["calls itself otherwise", { discovery: "other-issuer" }, /discovery document is another issuer's/],
    ["leads elsewhere", { discovery: "redirect" }, /answers 302/],
    ["has no document", { discovery: "not-json" }, /has not what it must have/],
    ["tells of no keys", { discovery: "without-keys" }, /has not what it must have/],
    ["has its keys where there is no TLS", { discovery: "keys-without-tls" }, /endpoint without TLS/],
    ["fails", { discovery: "error" }, /answers 500/],
    ["takes too long", { discovery: "slow" }, /in time/],
    ["has its keys elsewhere", { keys: "redirect" }, /answers 302/],
    ["has keys without end", { keys: "huge" }, /more than 262144 bytes/],
    ["has no keys now", { keys: "error" }, /answers 503/],
    ["has something else for keys", { keys: "not-keys" }, /no set of keys/],
  ])("that %s is told of once, and lets nobody in until it has stopped", async (_what, mischief, why) => {
    await using other = await startIssuer();
    const { verify, clock, states } = open(other, mischief.discovery === "slow" ? { wholeMs: 1000 } : {});
    const token = await other.sign({ aud: audience });
    await other.misbehave(mischief);
    for (let at = 0; at < 2; at++) {
      expect(await verify(token, expected)).toEqual({ kind: "unavailable", why: expect.stringMatching(why) });
      clock.advance(5000);
    }
    expect(states).toEqual([expect.stringMatching(why)]);
    await other.misbehave({});
    // A machine that stands still may take the patience that one of them has.
    for (let at = 0; at < 20 && outcomeOf(await verify(token, expected)) === "unavailable"; at++) clock.advance(5000);
    expect(outcomeOf(await verify(token, expected))).toBe("verified");
    expect(states).toEqual([expect.anything(), undefined]);
    expect(await other.asked()).not.toContain("stolen");
  });

  it("that does not answer is left alone for five seconds, and what is known of it counts on", async () => {
    await using other = await startIssuer();
    const { verify, clock } = open(other);
    const token = await other.sign({ aud: audience });
    await other.misbehave({ discovery: "error" });
    for (let at = 0; at < 5; at++) await verify(token, expected);
    expect(await other.asked()).toEqual(["discovery"]);
    clock.advance(5000);
    await other.misbehave({});
    expect(outcomeOf(await verify(token, expected))).toBe("verified");
    await other.kill();
    clock.advance(60_000);
    expect(outcomeOf(await verify(token, expected))).toBe("verified");
  });

  it("that publishes secrets has no keys", async () => {
    await using other = await startIssuer();
    const token = await other.sign({ aud: audience });
    await other.misbehave({ keys: "secret" });
    expect(outcomeOf(await open(other).verify(token, expected))).toBe("key");
  });

  it("that is not on the internet is asked where that is allowed alone", async () => {
    const { verify, states } = open(issuer, { allow: [] });
    expect(outcomeOf(await verify(await issuer.sign({ aud: audience }), expected))).toBe("unavailable");
    expect(states).toEqual([expect.stringContaining("may not be asked")]);
  });

  it("is asked over TLS, by an authority of its own", async () => {
    await using other = await startIssuer({ tls: true });
    const token = await other.sign({ aud: audience });
    expect(outcomeOf(await open(other).verify(token, expected))).toBe("verified");
    expect(outcomeOf(await open({ url: other.url, caFile: undefined }).verify(token, expected))).toBe("unavailable");
    const missing = open({ url: other.url, caFile: "/nowhere/ca.pem" });
    expect(await missing.verify(token, expected)).toMatchObject({ why: expect.stringContaining("cannot be read") });
  });
});
