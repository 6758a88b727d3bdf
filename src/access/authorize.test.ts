import { expect, test } from "bun:test";
import { openTestAccess, type TestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { repositoryName } from "../../test/support/registry.ts";
import { addOrganization, addRepositories, callerOf, grant, scopesOf, withScope } from "../../test/support/rights.ts";
import type { Policy, Resource } from "./authorize.ts";
import { grantable } from "./grantable.ts";
import { deleteGrant } from "./grants/grants.ts";
import { accessMigrations } from "./migrations.ts";
import { verbs } from "./permissions.ts";
import { anonymous, type Caller } from "./principal.ts";
import { formatScope } from "./scope.ts";

const repository = (text: string): Resource => ({ kind: "repository", name: repositoryName(text) });
const catalog: Resource = { kind: "catalog" };
const instance: Resource = { kind: "instance" };
const all = "read create update delete admin";
const content = "read create update delete";

async function allowed({ authorize }: TestAccess, caller: Caller, resource: Resource): Promise<string> {
  const decisions = await Promise.all(verbs.map((verb) => authorize(caller, verb, resource)));
  return verbs.filter((_, at) => decisions[at]?.allowed).join(" ");
}

describeEachDatabase("authorize", (_dialect, open) => {
  async function start(mode: Policy["mode"] = "standard") {
    const access = await openTestAccess(await open([accessMigrations]), mode);
    const [root, ann] = [await access.addAccount("root", "password", true), await access.addAccount("ann", "password")];
    await addRepositories(access, {
      "library/a": "public",
      "library/b": "public",
      "library/busybox": "public",
      "library/hidden": "private",
    });
    return { access, admin: callerOf(root), account: callerOf(ann), ann };
  }

  test("what is given without a grant, and what a token narrows", async () => {
    const { access, admin, account } = await start();
    const rows: readonly (readonly [string, Caller, Resource, string])[] = [
      ["admin, any repository", admin, repository("a/b"), all],
      ["admin, catalog", admin, catalog, "read"],
      ["admin, instance", admin, instance, all],
      ["anonymous, library", anonymous, repository("library/busybox"), "read"],
      ["anonymous, what library hides", anonymous, repository("library/hidden"), ""],
      ["anonymous, what library does not have", anonymous, repository("library/nothing"), ""],
      ["anonymous, library alone is a name of the root", anonymous, repository("library"), ""],
      ["anonymous, a neighbour in spelling", anonymous, repository("library2/busybox"), ""],
      ["anonymous, deeper", anonymous, repository("x/library/busybox"), ""],
      ["anonymous, root", anonymous, repository("busybox"), ""],
      ["anonymous, catalog", anonymous, catalog, ""],
      ["anonymous, instance", anonymous, instance, ""],
      ["account, library", account, repository("library/busybox"), "read"],
      ["account, private", account, repository("a/b"), ""],
      ["account, its own namespace", account, repository("ann/app"), all],
      ["account, deep in its own namespace", account, repository("ann/app/x"), all],
      ["account, a neighbour of its own", account, repository("ann2/app"), ""],
      ["account, its name in the root namespace", account, repository("ann"), ""],
      ["account, catalog", account, catalog, "read"],
      ["token: pull", withScope(admin, "repository:a/b:pull"), repository("a/b"), "read"],
      [
        "token: push is both kinds of write",
        withScope(admin, "repository:a/b:push"),
        repository("a/b"),
        "create update",
      ],
      [
        "token: push is not delete",
        withScope(admin, "repository:a/b:pull,push"),
        repository("a/b"),
        "read create update",
      ],
      ["token: delete", withScope(admin, "repository:a/b:delete"), repository("a/b"), "delete"],
      ["token: all is never admin", withScope(admin, "repository:a/b:*"), repository("a/b"), content],
      ["token: another repository", withScope(admin, "repository:a/b:*"), repository("a/c"), ""],
      ["token: no scope", withScope(admin, ""), repository("a/b"), ""],
      ["token: never the instance", withScope(admin, "repository:a/b:* registry:catalog:*"), instance, ""],
      ["token: catalog", withScope(admin, "registry:catalog:*"), catalog, "read"],
      ["token: a repository is not the catalog", withScope(admin, "repository:catalog:*"), catalog, ""],
      ["token: does not widen", withScope(anonymous, "repository:a/b:*"), repository("a/b"), ""],
      [
        "token: is for images alone",
        withScope(admin, "repository:a/b:*"),
        { kind: "repository", name: repositoryName("a/b"), subject: "member" },
        "",
      ],
    ];
    for (const [name, caller, resource, want] of rows) {
      expect([name, await allowed(access, caller, resource)]).toEqual([name, want]);
    }
  });

  test("in open mode everyone may do everything with images", async () => {
    const { access, account } = await start("open");
    const rows: readonly (readonly [Caller, Resource, string])[] = [
      [anonymous, repository("a/b"), content],
      [anonymous, catalog, "read"],
      [anonymous, instance, ""],
      [anonymous, { kind: "repository", name: repositoryName("a/b"), subject: "robot" }, ""],
      [account, repository("a/b"), content],
      [withScope(anonymous, "repository:a/b:pull"), repository("a/b"), "read"],
    ];
    for (const [caller, resource, want] of rows) expect(await allowed(access, caller, resource)).toBe(want);
  });

  test("a role counts where it was granted, and nowhere else", async () => {
    const { access, account, ann } = await start();
    await addOrganization(access, "acme");
    await addOrganization(access, "acme-labs");
    await addRepositories(access, {
      "acme/app": "private",
      "acme/app-prod": "private",
      "acme/web/app": "private",
      "acme-labs/app": "private",
      tool: "private",
    });
    const places = ["acme/app", "acme/app-prod", "acme/web/app", "acme/absent", "acme-labs/app", "tool", "acme"];
    const rows: readonly (readonly [string, string])[] = [
      ["organization acme", "acme/app acme/app-prod acme/web/app acme/absent"],
      ["namespace acme", "acme/app acme/app-prod acme/web/app acme/absent"],
      ["repository acme/app", "acme/app"],
      ["pattern acme/*-prod", "acme/app-prod"],
      ["pattern acme/*", "acme/app acme/app-prod acme/absent"],
      ["pattern acme/**", "acme/app acme/app-prod acme/web/app acme/absent"],
      ["pattern acme/*/app", "acme/web/app"],
      ["pattern acme/web/**", "acme/web/app"],
      ["pattern t*", "tool"],
      ["pattern *", "tool acme"],
      ["instance", places.join(" ")],
    ];
    for (const [on, want] of rows) {
      const id = await grant(access, "developer", { to: ann, on });
      const decisions = await Promise.all(places.map((name) => access.authorize(account, "read", repository(name))));
      expect([on, places.filter((_, at) => decisions[at]?.allowed).join(" ")]).toEqual([on, want]);
      const because = decisions.find((one) => one.allowed)?.because;
      expect(because).toMatchObject({ rule: "grant", role: "developer", grantId: id });
      await access.change((changing) => deleteGrant(changing, id));
    }
  });
});

describeEachDatabase("grantable", (_dialect, open) => {
  test("is what of a token's request may be had", async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    await addRepositories(access, { "library/a": "public", "library/b": "public" });
    const admin = callerOf(await access.addAccount("root", "password", true));
    const rows: readonly (readonly [string, Caller, string, string[]])[] = [
      ["all of it", admin, "repository:a:pull,push", ["repository:a:pull,push"]],
      ["a part of it", anonymous, "repository:library/a:pull,push", ["repository:library/a:pull"]],
      ["nothing of it", anonymous, "repository:a:pull repository:b:push", []],
      ["of several, some", anonymous, "repository:a:pull repository:library/b:pull", ["repository:library/b:pull"]],
      ["a star is spelled out", admin, "repository:a:*", ["repository:a:pull,push,delete,*"]],
      ["a star for less", anonymous, "repository:library/a:*", ["repository:library/a:pull"]],
      ["the catalog", admin, "registry:catalog:*", ["registry:catalog:*"]],
      ["the catalog has one action", admin, "registry:catalog:pull", []],
      ["another registry resource", admin, "registry:keys:*", []],
      ["names that no repository can have", admin, "repository:../x:pull repository:h:5000/x:pull", []],
    ];
    for (const [name, caller, text, want] of rows) {
      const granted = await grantable(access.authorize, caller, scopesOf(text));
      expect([name, granted.map(formatScope)]).toEqual([name, want]);
    }
  });
});
