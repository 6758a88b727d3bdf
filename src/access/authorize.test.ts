import { describe, expect, test } from "bun:test";
import { parseRepositoryName } from "../oci/names.ts";
import { type Authorize, authorizer, type Resource, type Verb } from "./authorize.ts";
import { grantable } from "./grantable.ts";
import { anonymous, type Caller } from "./principal.ts";
import { formatScope, type Grant, parseScopes } from "./scope.ts";

const repository = (text: string): Resource => {
  const name = parseRepositoryName(text);
  if (name === undefined) throw new Error(`not a repository name: ${text}`);
  return { kind: "repository", name };
};
const scopes = (text: string): readonly Grant[] => {
  const parsed = parseScopes([text]);
  return parsed.kind === "scopes" ? parsed.scopes : [];
};
const admin: Caller = { principal: { kind: "account", id: "1", name: "admin", administrator: true } };
const account: Caller = { principal: { kind: "account", id: "2", name: "ann", administrator: false } };
const withScope = (caller: Caller, text: string): Caller => ({ ...caller, scope: scopes(text) });

const verbs: readonly Verb[] = ["read", "create", "update", "delete", "admin"];
const catalog: Resource = { kind: "catalog" };
const instance: Resource = { kind: "instance" };
const standard = authorizer({ mode: "standard" });
const open = authorizer({ mode: "open" });

const allowed = (authorize: Authorize, caller: Caller, resource: Resource): string =>
  verbs.filter((verb) => authorize(caller, verb, resource).allowed).join(" ");

const all = "read create update delete admin";
const content = "read create update delete";

describe("authorize", () => {
  const rows: readonly (readonly [string, Authorize, Caller, Resource, string])[] = [
    ["admin, any repository", standard, admin, repository("a/b"), all],
    ["admin, catalog", standard, admin, catalog, all],
    ["admin, instance", standard, admin, instance, all],
    ["anonymous, library", standard, anonymous, repository("library/busybox"), "read"],
    ["anonymous, library alone is a name of the root", standard, anonymous, repository("library"), ""],
    ["anonymous, a neighbour in spelling", standard, anonymous, repository("library2/busybox"), ""],
    ["anonymous, deeper", standard, anonymous, repository("x/library/busybox"), ""],
    ["anonymous, root", standard, anonymous, repository("busybox"), ""],
    ["anonymous, catalog", standard, anonymous, catalog, ""],
    ["anonymous, instance", standard, anonymous, instance, ""],
    ["account, library", standard, account, repository("library/busybox"), "read"],
    ["account, private", standard, account, repository("a/b"), ""],
    ["account, catalog", standard, account, catalog, "read"],
    ["open: anonymous, repository", open, anonymous, repository("a/b"), content],
    ["open: anonymous, catalog", open, anonymous, catalog, "read"],
    ["open: anonymous, instance", open, anonymous, instance, ""],
    ["open: account, repository", open, account, repository("a/b"), content],
    ["token: pull", standard, withScope(admin, "repository:a/b:pull"), repository("a/b"), "read"],
    [
      "token: push is both kinds of write",
      standard,
      withScope(admin, "repository:a/b:push"),
      repository("a/b"),
      "create update",
    ],
    [
      "token: push is not delete",
      standard,
      withScope(admin, "repository:a/b:pull,push"),
      repository("a/b"),
      "read create update",
    ],
    ["token: delete", standard, withScope(admin, "repository:a/b:delete"), repository("a/b"), "delete"],
    ["token: all is never admin", standard, withScope(admin, "repository:a/b:*"), repository("a/b"), content],
    ["token: another repository", standard, withScope(admin, "repository:a/b:*"), repository("a/c"), ""],
    ["token: no scope", standard, withScope(admin, ""), repository("a/b"), ""],
    ["token: never the instance", standard, withScope(admin, "repository:a/b:* registry:catalog:*"), instance, ""],
    ["token: catalog", standard, withScope(admin, "registry:catalog:*"), catalog, "read"],
    ["token: a repository is not the catalog", standard, withScope(admin, "repository:catalog:*"), catalog, ""],
    ["token: does not widen", standard, withScope(anonymous, "repository:a/b:*"), repository("a/b"), ""],
    ["token: narrows in open mode too", open, withScope(anonymous, "repository:a/b:pull"), repository("a/b"), "read"],
  ];
  for (const [name, authorize, caller, resource, want] of rows) {
    test(name, () => {
      expect(allowed(authorize, caller, resource)).toBe(want);
    });
  }

  test("tells a token that is too narrow from a right that is missing", () => {
    expect(standard(withScope(admin, ""), "read", repository("a"))).toMatchObject({ allowed: false, lacking: "scope" });
    expect(standard(anonymous, "read", repository("a"))).toMatchObject({ allowed: false, lacking: "right" });
    expect(standard(withScope(anonymous, "repository:a:*"), "read", repository("a"))).toMatchObject({
      lacking: "right",
    });
  });
});

describe("grantable", () => {
  const rows: readonly (readonly [string, Authorize, Caller, string, string[]])[] = [
    ["all of it", standard, admin, "repository:a:pull,push", ["repository:a:pull,push"]],
    ["a part of it", standard, anonymous, "repository:library/a:pull,push", ["repository:library/a:pull"]],
    ["nothing of it", standard, anonymous, "repository:a:pull repository:b:push", []],
    [
      "of several, what may be had",
      standard,
      anonymous,
      "repository:a:pull repository:library/b:pull",
      ["repository:library/b:pull"],
    ],
    ["a star is spelled out", standard, admin, "repository:a:*", ["repository:a:pull,push,delete,*"]],
    ["a star for less", standard, anonymous, "repository:library/a:*", ["repository:library/a:pull"]],
    ["the catalog", standard, admin, "registry:catalog:*", ["registry:catalog:*"]],
    ["the catalog has one action", standard, admin, "registry:catalog:pull", []],
    ["another registry resource", standard, admin, "registry:keys:*", []],
    ["names that no repository can have", standard, admin, "repository:../x:pull repository:h:5000/x:pull", []],
    ["open", open, anonymous, "repository:a:pull,push,delete", ["repository:a:pull,push,delete"]],
  ];
  for (const [name, authorize, caller, text, want] of rows) {
    test(name, () => {
      expect(grantable(authorize, caller, scopes(text)).map(formatScope)).toEqual(want);
    });
  }
});
