import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openTestAccess, problemOf } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { accessMigrations } from "../access/migrations.ts";
import { authenticator } from "./authenticate.ts";
import { parseAuthorization } from "./authorization-header.ts";

/** Passwords and databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const remoteAddress = "192.0.2.1";
const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;

describe("parseAuthorization", () => {
  test("reads Basic and Bearer", () => {
    expect(parseAuthorization(undefined)).toEqual({ kind: "none" });
    expect(parseAuthorization("Basic Og==")).toEqual({ kind: "none" });
    expect(parseAuthorization(basic("ann", "a:b:c"))).toEqual({ kind: "basic", name: "ann", password: "a:b:c" });
    expect(parseAuthorization(basic("", "x"))).toEqual({ kind: "basic", name: "", password: "x" });
    expect(parseAuthorization(basic("ann", "pässwörd"))).toMatchObject({ password: "pässwörd" });
    expect(parseAuthorization("bAsIc   Og==")).toEqual({ kind: "none" });
    expect(parseAuthorization("BEARER a.b-c_d")).toEqual({ kind: "bearer", token: "a.b-c_d" });
  });

  test.each([
    "",
    " ",
    "Basic",
    "Basic ",
    "Basic !!!",
    "Basic YW5u",
    "Basic /w==",
    "Basic Og== Og==",
    "Basic Og==, Bearer x",
    "Digest username=x",
    "Negotiate abc",
    "Og==",
    "\0",
    "Basic Og==\0",
    "x".repeat(16_000),
    `Basic ${"A".repeat(16_000)}`,
  ])("%p is malformed", (text) => {
    expect(parseAuthorization(text)).toEqual({ kind: "malformed", scheme: "other" });
  });

  test.each(["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", 'Bearer "a"', "Bearer \0", "bearer é"])(
    "%p is a malformed token",
    (text) => {
      expect(parseAuthorization(text)).toEqual({ kind: "malformed", scheme: "bearer" });
    },
  );
});

describeEachDatabase("authenticator", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const account = await access.addAccount("ann", "correct horse", true);
    const authenticate = authenticator(access);
    const as = (authorization: string | undefined, scopes?: readonly string[]) =>
      authenticate(
        {
          headers: new Map(authorization === undefined ? [] : [["authorization", authorization]]),
          remoteAddress,
          requestId: "a-request",
        },
        scopes,
      );
    return { access, account, as };
  };

  test("no credentials, and empty ones, are anonymous", async () => {
    const { as } = await start();
    for (const header of [undefined, "Basic Og=="])
      expect(await as(header)).toEqual({ principal: { kind: "anonymous" }, remoteAddress });
  });

  test("a password stands for all that its account may do, a token for its scope", async () => {
    const { access, account, as } = await start();
    const principal = { kind: "account", id: account.id, name: "ann" } as const;
    const goodUntil = expect.any(Number) as number;
    expect(await as(basic("ann", "correct horse"))).toEqual({ principal, goodUntil, remoteAddress });
    const { token } = await access.tokens.issue(account, [{ type: "repository", name: "a", actions: ["pull"] }]);
    const scope = [{ type: "repository", name: "a", actions: ["pull"] }];
    expect(await as(`Bearer ${token}`)).toEqual({ principal, scope, goodUntil, remoteAddress } as never);
  });

  test("whatever is wrong with the credentials is a 401, with an error only for tokens", async () => {
    const { as } = await start();
    const scopes = ["repository:a:pull"];
    for (const header of [basic("ann", "wrong"), basic("nobody", "wrong"), basic("ann", ""), "Digest x", "Basic x"]) {
      expect(await problemOf(as(header, scopes))).toEqual({ code: "UNAUTHORIZED", scopes });
    }
    for (const header of ["Bearer", "Bearer x", "Bearer a.b.c", "Bearer ...", `Bearer ${"x".repeat(15_000)}`]) {
      expect(await problemOf(as(header, scopes))).toEqual({ code: "UNAUTHORIZED", scopes, error: "invalid_token" });
    }
    expect(await problemOf(as("Bearer x"))).toEqual({ code: "UNAUTHORIZED", scopes: [], error: "invalid_token" });
  });
});
