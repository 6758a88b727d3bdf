import { expect, test } from "bun:test";
import { openTestAccess, type TestAccess } from "../../test/support/access.ts";
import { describeEachDatabase } from "../../test/support/databases.ts";
import { repositoryName, testRegistry } from "../../test/support/registry.ts";
import { addOrganization, addRepositories, callerOf, grant, withScope } from "../../test/support/rights.ts";
import type { Visibility } from "../oci/visibility.ts";
import { listRepositories } from "../registry/repositories.ts";
import type { Conditions } from "./grants/grant.ts";
import { accessMigrations } from "./migrations.ts";
import { anonymous, type Caller } from "./principal.ts";
import type { Seen } from "./visible-to.ts";

/** Names that look alike: to LIKE, to a comparison of bytes, by their segments. */
const repositories: Readonly<Record<string, Visibility>> = {
  a: "private",
  a_b: "private",
  axb: "private",
  "a/b": "private",
  "a_b/app": "private",
  "axb/app": "private",
  "a_b/app/deep": "private",
  "a_b/x_y": "internal",
  "a_b/xzy": "private",
  "a_b-c/app": "private",
  "ann/own": "private",
  "ann/deep/own": "private",
  "ann2/own": "private",
  library: "private",
  "library/a": "public",
  "library/z/z": "public",
  library0: "private",
  "team/one-prod": "private",
  "team/two-prod": "private",
  "team/two-prod/x": "private",
  "team/sub/one-prod": "private",
  "team/shown": "public",
  "team/inside": "internal",
};

const pages = async ({ database }: TestAccess, { visible }: Seen): Promise<readonly string[]> => {
  const seen: string[] = [];
  for (;;) {
    const { items, isLast } = await listRepositories(testRegistry(database), visible, { after: seen.at(-1), limit: 3 });
    seen.push(...items);
    if (isLast) return seen;
  }
};

async function readable({ authorize }: TestAccess, caller: Caller): Promise<readonly string[]> {
  const names = Object.keys(repositories).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const decisions = await Promise.all(
    names.map((name) => authorize(caller, "read", { kind: "repository", name: repositoryName(name) })),
  );
  return names.filter((_, at) => decisions[at]?.allowed);
}

const forCatalog = (caller: Caller): Caller => withScope(caller, "registry:catalog:*");

type Wanted = Parameters<typeof grant>[2];

describeEachDatabase("visibleTo", (_dialect, open) => {
  const start = async (mode: "standard" | "open" = "standard") => {
    const access = await openTestAccess(await open([accessMigrations]), mode);
    const accounts = {
      root: await access.addAccount("root", "password", true),
      ann: await access.addAccount("ann", "password"),
      bob: await access.addAccount("bob", "password"),
    };
    await addOrganization(access, "a_b", { owners: [accounts.bob], members: [accounts.ann] });
    await addOrganization(access, "axb");
    await addOrganization(access, "team", { members: [accounts.ann], teams: { dev: [accounts.ann] } });
    await addRepositories(access, repositories);
    return { access, accounts };
  };

  test("shows exactly what authorize lets read, on pages of any size", async () => {
    const { access, accounts } = await start();
    const { root, ann, bob } = accounts;
    const grants: readonly (readonly [string, Wanted["to"], string, Conditions?])[] = [
      ["guest", ann, "repository a/b"],
      ["guest", ann, "pattern a_b/x_*"],
      ["developer", { kind: "team", name: "team/dev" }, "pattern team/*-prod"],
      ["guest", ann, "pattern team/**"],
      ["guest", ann, "pattern a*"],
      ["maintainer", { kind: "signed-in" }, "repository a_b-c/app"],
      ["guest", { kind: "anonymous" }, "pattern a_b/*/deep"],
      ["guest", ann, "namespace axb", { networks: ["10.0.0.0/8"] }],
      ["guest", ann, "repository library0", { until: access.clock.now() + 60_000 }],
      ...["a", "a_b", "axb", "axb/app", "library", "team/sub/one-prod"].map(
        (name) => ["guest", ann, `repository ${name}`] as const,
      ),
      ["maintainer", ann, "repository axb"],
      ["maintainer", ann, "repository axb/app"],
      ["auditor", bob, "instance"],
    ];
    const callers: readonly (readonly [string, Caller])[] = [
      ["root", callerOf(root)],
      ["anonymous", anonymous],
      ["ann", callerOf(ann)],
      ["ann, in the network", { ...callerOf(ann), remoteAddress: "10.1.2.3" }],
      ["ann, elsewhere", { ...callerOf(ann), remoteAddress: "192.0.2.1" }],
      ["bob", callerOf(bob)],
      ["robot", { principal: { kind: "robot", id: "r", name: "r" } }],
      [
        "ann, a token for two",
        withScope(callerOf(ann), "repository:a/b:pull repository:ann/own:pull repository:axb:push"),
      ],
      ["ann, a star", withScope(callerOf(ann), "repository:ann/own:*")],
      ["root, nothing", withScope(callerOf(root), "")],
      ["root, the catalog alone", withScope(callerOf(root), "registry:catalog:*")],
      [
        "root, a personal token",
        { ...callerOf(root), tokenScope: [{ pattern: "a_b/*", permissions: ["repository:read"] }] },
      ],
      [
        "root, one for writing",
        { ...callerOf(root), tokenScope: [{ pattern: "**", permissions: ["repository:create"] }] },
      ],
      ["root, one for all", { ...callerOf(root), tokenScope: [{ pattern: "**", permissions: ["repository:read"] }] }],
    ];
    const compare = async (when: string): Promise<void> => {
      for (const [who, caller] of callers) {
        const seen = await pages(access, await access.visibleTo(caller));
        expect([when, who, seen]).toEqual([when, who, [...(await readable(access, caller))]]);
      }
    };
    await compare("nothing granted");
    for (const [at, [role, to, on, conditions]] of grants.entries()) {
      await grant(access, role, { to, on, ...conditions });
      if (at % 4 === 0) await compare(`${role} on ${on}`);
    }
    await compare("all granted");
    access.clock.advance(60_000);
    await compare("later");
  });

  test("everything to everyone in open mode", async () => {
    const { access } = await start("open");
    expect(await pages(access, await access.visibleTo(anonymous))).toHaveLength(Object.keys(repositories).length);
  });

  test("a token for the catalog lists what its principal may read, and opens none of it", async () => {
    const { access, accounts } = await start();
    const count = async (seen: Promise<Seen>): Promise<number> => (await pages(access, await seen)).length;
    const total = Object.keys(repositories).length;
    const [admin, ann] = [callerOf(accounts.root), callerOf(accounts.ann)];
    expect(await count(access.listedTo(forCatalog(admin)))).toBe(total);
    expect(await count(access.listedTo(forCatalog(ann)))).toBe((await readable(access, ann)).length);
    expect([await count(access.visibleTo(forCatalog(admin))), await count(access.visibleTo(forCatalog(ann)))]).toEqual([
      0, 0,
    ]);
    expect(await count(access.listedTo(withScope(admin, "repository:a:pull")))).toBe(1);
    expect([await count(access.listedTo(admin)), await count(access.listedTo(anonymous))]).toEqual([total, 3]);
  });
});
