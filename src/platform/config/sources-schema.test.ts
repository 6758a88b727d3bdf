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
