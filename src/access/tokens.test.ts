import { expect, setDefaultTimeout, test } from "bun:test";
import { createHmac } from "node:crypto";
import {
  base64url,
  CompactEncrypt,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWTHeaderParameters,
  SignJWT,
} from "jose";
import { openTestAccess, type TestAccess, tokenSettings } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { revisionWatch } from "./access-revision.ts";
import { type Account, changePassword, deleteAccount, setDisabled } from "./accounts.ts";
import { accessMigrations } from "./migrations.ts";
import { rememberedHolders } from "./remembered-holders.ts";
import { createTokens } from "./tokens.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

/** Claims as a token may have them, right or wrong. */
type Claims = Readonly<Record<string, unknown>>;
type Signer = Parameters<SignJWT["sign"]>[0];

const pull = { type: "repository", name: "a/b", actions: ["pull"] } as const;

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<string, unknown>;
const headerOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as Record<string, unknown>;

const encoded = (value: unknown): string => base64url.encode(JSON.stringify(value));

/** Signs anything with the real key, as a fault of the issuer would, or with another. */
const forger = async (access: TestAccess, account: Account) => {
  const { kid, privateKey } = await access.signingKeys.current();
  const seconds = Math.floor(access.clock.now() / 1000);
  const good = {
    iss: "berth",
    sub: account.name,
    aud: "berth",
    iat: seconds,
    nbf: seconds,
    exp: seconds + 300,
    jti: "1",
    access: [pull],
    account: account.id,
    epoch: account.epoch,
  };
  const forge = (claims: Claims, header: Partial<JWTHeaderParameters> = {}, key: Signer = privateKey) =>
    new SignJWT({ ...good, ...claims }).setProtectedHeader({ alg: "ES256", typ: "JWT", kid, ...header }).sign(key);
  return { kid, privateKey, good, forge, seconds };
};

describeEachDatabase("createTokens", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const account = await access.addAccount("ann", "correct horse", true);
    return { access, account, ...(await forger(access, account)) };
  };

  test("a token says what docker's token specification wants, and is believed", async () => {
    const { access, account, kid } = await start();
    const { token, expiresInSeconds, issuedAt } = await access.tokens.issue(account, [pull]);
    expect(headerOf(token)).toEqual({ alg: "ES256", typ: "JWT", kid });
    const iat = Math.floor(access.clock.now() / 1000);
    expect(claimsOf(token)).toEqual({
      iss: "berth",
      sub: "ann",
      aud: "berth",
      iat,
      nbf: iat,
      exp: iat + 300,
      jti: expect.any(String),
      access: [pull],
      account: account.id,
      epoch: account.epoch,
    });
    expect(expiresInSeconds).toBe(300);
    expect(issuedAt.getTime()).toBe(iat * 1000);
    expect(await access.tokens.verify(token)).toEqual({
      principal: { kind: "account", id: account.id, name: "ann" },
      scope: [pull],
      // As long as it is believed: clocks may differ by a minute.
      goodUntil: (iat + 300 + 60) * 1000,
    });
  });

  test("an anonymous token has an empty subject", async () => {
    const { access } = await start();
    const { token } = await access.tokens.issue(undefined, []);
    const { exp } = claimsOf(token);
    expect(claimsOf(token)).toMatchObject({ sub: "", access: [] });
    const caller = { principal: { kind: "anonymous" }, scope: [], goodUntil: (Number(exp) + 60) * 1000 } as const;
    expect(await access.tokens.verify(token)).toEqual(caller);
  });

  test("the forger's unchanged token is good, so what it changes is what is refused", async () => {
    const { access, forge } = await start();
    expect(await access.tokens.verify(await forge({}))).toBeDefined();
  });

  test("a key that the token brings, or names, is not used", async () => {
    const { access, forge } = await start();
    const own = await generateKeyPair("ES256", { extractable: true });
    const jwk = await exportJWK(own.publicKey);
    const headers: Partial<JWTHeaderParameters>[] = [
      {},
      { jwk },
      { jku: "https://attacker.example/jwks.json" },
      { x5u: "https://attacker.example/cert.pem" },
      { x5c: ["MIIB"] },
      { kid: "../../dev/null" },
      { kid: "' UNION SELECT 'x' --" },
      { kid: "" },
    ];
    for (const header of headers) {
      expect(await access.tokens.verify(await forge({}, header, own.privateKey))).toBeUndefined();
    }
    for (const header of headers.slice(1, 5))
      expect(await access.tokens.verify(await forge({}, header))).toBeUndefined();
  });

  test("no other algorithm, type, extension or form is accepted", async () => {
    const { access, forge, good, kid } = await start();
    const [publicJwk] = (await access.signingKeys.published()).keys;
    const unsigned = (alg: string): string => `${encoded({ alg, typ: "JWT", kid })}.${encoded(good)}.`;
    for (const alg of ["none", "None", "NONE", "nOnE", "", "ES256"]) {
      expect(await access.tokens.verify(unsigned(alg))).toBeUndefined();
    }
    for (const secret of [JSON.stringify(publicJwk), publicJwk?.x ?? "", kid, ""]) {
      const signed = `${encoded({ alg: "HS256", typ: "JWT", kid })}.${encoded(good)}`;
      const mac = createHmac("sha256", secret).update(signed).digest("base64url");
      expect(await access.tokens.verify(`${signed}.${mac}`)).toBeUndefined();
    }
    for (const alg of ["ES384", "EdDSA", "RS256", "PS256"]) {
      const { privateKey } = await generateKeyPair(alg);
      expect(await access.tokens.verify(await forge({}, { alg }, privateKey))).toBeUndefined();
      const renamed = (await forge({}, { alg }, privateKey)).split(".").slice(1).join(".");
      expect(await access.tokens.verify(`${encoded({ alg: "ES256", typ: "JWT", kid })}.${renamed}`)).toBeUndefined();
    }
    for (const typ of ["JWS", "at+jwt", ""])
      expect(await access.tokens.verify(await forge({}, { typ }))).toBeUndefined();
    const real = await forge({});
    const [header = "", payload = "", signature = ""] = real.split(".");
    const critical = encoded({ ...headerOf(real), crit: ["x"], x: 1 });
    const encryption = await importJWK({ kty: "oct", k: base64url.encode("0123456789abcdef") }, "A128KW");
    const encrypted = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(good)))
      .setProtectedHeader({ alg: "A128KW", enc: "A128GCM", kid })
      .encrypt(encryption);
    const forms = [
      `${critical}.${payload}.${signature}`,
      encrypted,
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}..${signature}`,
      `${real}.`,
      `${header}.${payload}.${signature.slice(0, -4)}`,
      `${header}.${encoded({ ...good, sub: "admin" })}.${signature}`,
      "",
      ".",
      "..",
      "x",
      "\0",
      "é.é.é",
      "x".repeat(100_000),
      `${"e30".repeat(10)}.e30.e30`,
      "bnVsbA.bnVsbA.bnVsbA",
    ];
    for (const form of forms) expect([form, await access.tokens.verify(form)]).toEqual([form, undefined]);
  });

  test("issuer and audience are exactly ours", async () => {
    const { access, forge } = await start();
    const wrong: Claims[] = [
      ...["other", "bert", "berth2", "BERTH", "", undefined].map((iss) => ({ iss })),
      ...["other", "bert", "berth.example", "", ["berth"], ["other", "berth"], [], undefined].map((aud) => ({ aud })),
    ];
    for (const claims of wrong) expect(await access.tokens.verify(await forge(claims))).toBeUndefined();
  });

  test("every claim is required and of its kind", async () => {
    const { access, forge, good, account } = await start();
    for (const name of ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "access", "account", "epoch"]) {
      expect(await access.tokens.verify(await forge({ [name]: undefined }))).toBeUndefined();
    }
    const wrong: Claims[] = [
      { access: "*" },
      { access: [{ type: "repository", name: "a", actions: ["admin"] }] },
      { access: [{ type: "instance", name: "a", actions: ["*"] }] },
      { sub: "" },
      { account: 1 },
      { account: "1" },
      { account: account.name },
      { epoch: account.epoch + 1 },
      { epoch: String(account.epoch) },
    ];
    for (const claims of wrong) expect(await access.tokens.verify(await forge(claims))).toBeUndefined();
    expect(good.sub).toBe("ann");
  });

  test("it lives from its beginning to its end, with a minute for the clocks", async () => {
    const { access, forge, seconds } = await start();
    const early = { iat: seconds + 120, nbf: seconds + 120, exp: seconds + 420 };
    expect(await access.tokens.verify(await forge(early))).toBeUndefined();
    expect(await access.tokens.verify(await forge({ nbf: seconds + 30, iat: seconds + 30 }))).toBeDefined();
    expect(await access.tokens.verify(await forge({ iat: seconds - 3600, exp: seconds + 3600 }))).toBeUndefined();
    const token = await forge({});
    for (const [advance, isGood] of [
      [0, true],
      [300, true],
      [59, true],
      [2, false],
    ] as const) {
      access.clock.advance(advance * 1000);
      expect((await access.tokens.verify(token)) !== undefined).toBe(isGood);
    }
  });

  test("a token for another service of the same keys is refused", async () => {
    const { access, account } = await start();
    const settings = { ...tokenSettings, service: "elsewhere" };
    const { database, signingKeys: keys, tokenUses: uses, clock } = access;
    const holders = rememberedHolders(database, revisionWatch(database).signIns);
    const other = createTokens({ holders, keys, settings, uses, now: clock.now });
    const { token } = await other.issue(account, [pull]);
    expect(await other.verify(token)).toBeDefined();
    expect(await access.tokens.verify(token)).toBeUndefined();
  });

  test("a changed password, a disabled, deleted or replaced account end it with the next request", async () => {
    const { access } = await start();
    const changes: ((id: string) => Promise<void>)[] = [
      (id) => access.change(({ tx }) => changePassword(tx, { id, passwordHash: "x", changedAt: 1 })),
      (id) => access.change(({ tx }) => setDisabled(tx, id, true)),
      (id) => access.change(({ tx }) => deleteAccount(tx, id)),
    ];
    for (const [index, change] of changes.entries()) {
      const account = await access.addAccount(`user${String(index)}`, "correct horse");
      const { token } = await access.tokens.issue(account, [pull]);
      expect(await access.tokens.verify(token)).toBeDefined();
      await change(account.id);
      expect(await access.tokens.verify(token)).toBeUndefined();
    }
    await access.addAccount("user2", "correct horse");
    const again = await access.addAccount("user3", "correct horse");
    const { token } = await access.tokens.issue(again, [pull]);
    await access.change(({ tx }) => deleteAccount(tx, again.id));
    await access.addAccount("user3", "correct horse");
    expect(await access.tokens.verify(token)).toBeUndefined();
  });
});
