import { describe, expect, test } from "bun:test";
import { inspectConfig } from "./load-config.ts";
import { sourcesSchema } from "./sources-schema.ts";

const corp = { name: "corp", kind: "ldap", urls: ["ldaps://ldap.example.org"], user: { baseDn: "dc=example,dc=org" } };
const problemsOf = (...sources: readonly object[]): readonly string[] => {
  const parsed = sourcesSchema.safeParse(sources);
  return parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
};

describe("access.sources", () => {
  test("is read from JSON in the variable, and hidden in no error", () => {
    const { config, problems } = inspectConfig({
      file: undefined,
      environment: { BERTH_ACCESS_SOURCES: JSON.stringify([corp]) },
      flags: {},
    });
    expect(problems).toEqual([]);
    expect(config?.access.sources?.[0]).toMatchObject({ ...corp, enabled: true, cacheSeconds: 60, onboard: true });
    const wrong = inspectConfig({ file: undefined, environment: { BERTH_ACCESS_SOURCES: "[{" }, flags: {} });
    expect(wrong.problems).toEqual([expect.stringMatching(/^access\.sources: /)]);
  });

  test.each(["ldap://127.0.0.1:389", "ldaps://[::1]:636", "ldaps://ldap.example.org/"])("takes %s", (url) =>
    expect(problemsOf({ ...corp, urls: [url] })).toEqual([]),
  );

  test.each([
    "http://ldap.example.org",
    "ldap.example.org",
    "ldaps://",
    "ldaps://user:password@ldap.example.org",
    "ldaps://ldap.example.org/dc=example",
    "ldaps://ldap.example.org?scope=sub",
    "ldapi:///run/ldapi",
  ])("refuses %s", (url) => expect(problemsOf({ ...corp, urls: [url] })).toHaveLength(1));

  test.each(["(uid=*)", "(&(a=b)(!(c:1.2.840.113556.1.4.803:=2)))", String.raw`(cn=a\28b)`])(
    "takes the filter %s",
    (filter) => expect(problemsOf({ ...corp, user: { ...corp.user, filter } })).toEqual([]),
  );

  test.each(["uid=*", "(uid=*", "(uid=*))", "(a=b)(c=d)", "", "()(", "(a=b) "])("refuses the filter %j", (filter) =>
    expect(problemsOf({ ...corp, user: { ...corp.user, filter } }).length).toBeGreaterThan(0),
  );

  test("wants each name once, and a password exactly where there is somebody to have it", () => {
    expect(problemsOf(corp, corp)).toEqual([": corp is the name of two sources"]);
    expect(problemsOf({ ...corp, bindDn: "cn=a" })).toEqual(["0.bindDn: needs bindPassword or bindPasswordFile too"]);
    expect(problemsOf({ ...corp, bindPassword: "a" })).toEqual(["0.bindPassword: needs bindDn too"]);
    const both = { bindDn: "cn=a", bindPassword: "a", bindPasswordFile: "/a" };
    expect(problemsOf({ ...corp, ...both })).toHaveLength(1);
    expect(problemsOf({ ...corp, surprise: true })).toHaveLength(1);
  });
});

const provider = { name: "corp", kind: "oidc", issuer: "https://login.example.org", clientId: "berth" };

describe("a provider of OpenID Connect in access.sources", () => {
  test("has what most need by itself", () => {
    expect<readonly object[]>(sourcesSchema.parse([provider])).toEqual([
      {
        ...provider,
        enabled: true,
        scopes: ["openid", "profile", "email"],
        nameClaim: "preferred_username",
        displayNameClaim: "name",
        emailClaim: "email",
        audiences: [],
        authorizedParties: [],
        hosts: [],
        staleSeconds: 2_592_000,
        onboard: true,
        signOut: false,
      },
    ]);
  });

  test.each(["https://login.example.org/realms/a", "http://localhost:8080", "http://127.0.0.1:8080/"])(
    "takes the issuer %s",
    (issuer) => expect(problemsOf({ ...provider, issuer })).toEqual([]),
  );

  test.each([
    "http://login.example.org",
    "login.example.org",
    "https://user:password@login.example.org",
    "https://login.example.org?a=b",
    "https://login.example.org#a",
    "",
  ])("refuses the issuer %p", (issuer) => expect(problemsOf({ ...provider, issuer })).toHaveLength(1));

  test("always asks for openid, has one secret at most, and knows no setting that leaves certificates unverified", () => {
    expect(problemsOf({ ...provider, scopes: ["profile"] })).toEqual(["0.scopes: must have openid among them"]);
    expect(problemsOf({ ...provider, scopes: ["openid profile"] }).length).toBeGreaterThan(0);
    const both = { clientSecret: "a", clientSecretFile: "/a" };
    expect(problemsOf({ ...provider, ...both })).toEqual([
      "0.clientSecretFile: is given beside clientSecret: one of them has to go",
    ]);
    expect(problemsOf({ ...provider, verifyCertificate: false })).toHaveLength(1);
    expect(problemsOf(provider, corp)).toEqual([": corp is the name of two sources"]);
  });
});
