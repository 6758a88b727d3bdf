import { expect, it } from "bun:test";
import { openTestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { codesOf, repositoryName, tagName } from "../../../test/support/registry.ts";
import { addOrganization, addRepositories, callerOf, grant } from "../../../test/support/rights.ts";
import { createRole } from "../grants/custom-roles.ts";
import { accessMigrations } from "../migrations.ts";
import { deleteNamespace, createNamespace } from "../organizations/namespaces.ts";
import type { Caller } from "../principal.ts";
import type { Protection } from "./protection.ts";
import { createProtection, deleteProtection, listProtections, type ProtectedPlace } from "./protections.ts";

const verbs = ["create", "update", "delete"] as const;

describeEachDatabase("protected tags", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    await addOrganization(access, "acme");
    await addRepositories(access, { "acme/app": "private", "acme/web/app": "private" });
    const callers: Record<string, Caller> = {};
    for (const role of ["developer", "maintainer", "project-admin"]) {
      const account = await access.addAccount(role, "password");
      await grant(access, role, { to: account, on: "organization acme" });
      callers[role] = callerOf(account);
    }
    callers["administrator"] = callerOf(await access.addAccount("root", "password", true));
    const may = async (name: string, tag: string | undefined): Promise<Readonly<Record<string, string>>> => {
      const seen: Record<string, string> = {};
      for (const [who, caller] of Object.entries(callers)) {
        const resource = {
          kind: "repository",
          name: repositoryName(name),
          ...(tag !== undefined && { tag: tagName(tag) }),
        } as const;
        const decisions = await Promise.all(verbs.map((verb) => access.authorize(caller, verb, resource)));
        seen[who] = verbs.filter((_, at) => decisions[at]?.allowed).join(" ");
      }
      return seen;
    };
    const protect = (place: ProtectedPlace, rule: Protection) =>
      access.change((tx) => createProtection(tx, place, rule));
    return { access, callers, may, protect };
  };
  const acme = { kind: "namespace", name: "acme" } as const;
  const app = { kind: "repository", name: repositoryName("acme/app") } as const;
  const all = "create update delete";

  it("are made, moved and deleted by who has the role, the most restrictive of several rules", async () => {
    const { access, may, protect } = await start();
    const unprotected = { developer: "create update", maintainer: all, "project-admin": all, administrator: all };
    expect(await may("acme/app", "v1")).toEqual(unprotected);
    const ofAll = await protect(acme, {
      pattern: "v*",
      roles: { create: "maintainer", update: "project-admin", delete: "project-admin" },
    });
    await protect(app, { pattern: "v1", roles: { create: "administrator", update: "developer" } });
    expect(await may("acme/app", "v2")).toEqual({
      developer: "",
      maintainer: "create",
      "project-admin": all,
      administrator: all,
    });
    expect(await may("acme/app", "v1")).toEqual({
      developer: "",
      maintainer: "",
      "project-admin": "update delete",
      administrator: all,
    });
    expect(await may("acme/web/app", "v1")).toEqual({
      developer: "",
      maintainer: "create",
      "project-admin": all,
      administrator: all,
    });
    for (const tag of ["latest", "xv1", "V1"]) expect(await may("acme/app", tag)).toEqual(unprotected);
    // Without a tag's name what a protected one needs could be deleted.
    expect(await may("acme/app", undefined)).toEqual({
      developer: "create update",
      maintainer: "create update",
      "project-admin": all,
      administrator: all,
    });
    await access.change((tx) => deleteProtection(tx, ofAll.id));
    expect(await may("acme/app", "v2")).toEqual(unprotected);
  });

  it("ask of a role of one's own what the built-in role has that it contains", async () => {
    const { access, may, callers, protect } = await start();
    const mover = await access.addAccount("mover", "password");
    await access.change((tx) =>
      createRole(tx, { name: "mover", permissions: ["repository:read", "repository:update", "repository:delete"] }),
    );
    await grant(access, "mover", { to: mover, on: "organization acme" });
    callers["mover"] = callerOf(mover);
    expect((await may("acme/app", "v1"))["mover"]).toBe("update delete");
    await protect(acme, { pattern: "v*", roles: { update: "developer" } });
    expect((await may("acme/app", "v1"))["mover"]).toBe("delete");
  });

  it("say which rule it was, and end with their namespace", async () => {
    const { access, callers } = await start();
    await access.change((tx) => createNamespace(tx, { name: "acme/web" }));
    const web = { kind: "namespace", name: "acme/web" } as const;
    await access.change((tx) => createProtection(tx, web, { pattern: "v*", roles: { update: "maintainer" } }));
    const ask = () =>
      access.authorize(callers["developer"] as Caller, "update", {
        kind: "repository",
        name: repositoryName("acme/web/app"),
        tag: tagName("v1"),
      });
    expect(await ask()).toMatchObject({ allowed: false, lacking: "right", because: { rule: "protected-tag" } });
    await access.change((tx) => deleteNamespace(tx, "acme/web"));
    await access.change((tx) => createNamespace(tx, { name: "acme/web" }));
    expect((await ask()).allowed).toBe(true);
    expect((await listProtections(access.database.read, web, { after: undefined, limit: 9 })).items).toEqual([]);
  });

  it("have rules that can be, and no more of them than can be looked at", async () => {
    const { access, protect } = await start();
    for (const pattern of ["", "v(1|2)", "a/b", "*".repeat(17), "x".repeat(129)]) {
      expect(await codesOf(protect(acme, { pattern, roles: { create: "maintainer" } }))).toEqual(["INPUT_INVALID"]);
    }
    expect(await codesOf(protect(acme, { pattern: "v*", roles: {} }))).toEqual(["INPUT_INVALID"]);
    expect(
      await codesOf(
        protect({ kind: "namespace", name: "nowhere" }, { pattern: "v*", roles: { create: "maintainer" } }),
      ),
    ).toEqual(["OBJECT_UNKNOWN"]);
    await access.change(async (tx) => {
      for (let at = 0; at < 100; at += 1)
        await createProtection(tx, acme, { pattern: `v${at}`, roles: { create: "maintainer" } });
    });
    expect(await codesOf(protect(acme, { pattern: "v*", roles: { create: "maintainer" } }))).toEqual(["CONFLICT"]);
  });
});
