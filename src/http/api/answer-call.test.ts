import { expect, it, setDefaultTimeout } from "bun:test";
import { openTestAccess, problemOf, type TestAccess, testSecret } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { incoming } from "../../../test/support/incoming.ts";
import { testRegistry } from "../../../test/support/registry.ts";
import { addOrganization, callerOf } from "../../../test/support/rights.ts";
import { deriveKey } from "../../access/instance-secret.ts";
import { accessMigrations } from "../../access/migrations.ts";
import { setMember } from "../../access/organizations/members.ts";
import type { Caller } from "../../access/principal.ts";
import { organizationRoutes } from "../../access/organizations/routes.ts";
import { rightsRoutes } from "../../access/grants/routes.ts";
import { robotRoutes } from "../../access/robots/routes.ts";
import { answerCall, apiBase } from "./answer-call.ts";
import { idempotentAnswers } from "./idempotent-answers.ts";
import { routeMatcher } from "./match-route.ts";
import { apiMigrations } from "./migrations.ts";

setDefaultTimeout(30_000);

/** Sends a request whose body comes once something else has happened, which is behind the look at its rights. */
async function sendSlowly(
  access: TestAccess,
  caller: Caller,
  { method, path, body, meanwhile }: Slow,
): Promise<{ readonly status: number }> {
  const { database, authorize, clock } = access;
  const registry = testRegistry(database);
  const deps = { database, authorize, registry, now: clock.now };
  const routes = [...organizationRoutes(deps), ...rightsRoutes(deps), ...robotRoutes(deps)];
  const target = `${apiBase}${path}`;
  const match = routeMatcher(apiBase, routes)(target);
  const route = match?.byMethod[method];
  if (match === undefined || route === undefined) throw new Error(`no route: ${method} ${path}`);
  const bytes = Buffer.from(JSON.stringify(body));
  const request = incoming({
    method,
    path: target,
    headers: new Map([
      ["content-type", "application/json"],
      ["if-match", "*"],
    ]),
    bodyBytes: bytes.byteLength,
    body: (async function* () {
      await meanwhile();
      yield bytes;
    })(),
  });
  return answerCall(
    {
      database,
      authorize,
      answers: idempotentAnswers({ database, key: deriveKey(testSecret(), "answers"), now: clock.now }),
      callerOf: async () => caller,
      publicUrl: undefined,
      longestSessionMs: 1,
    },
    { request, route, match, onCaller: () => undefined },
  );
}

interface Slow {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly meanwhile: () => Promise<unknown>;
}

const nothing = async (): Promise<void> => undefined;

describeEachDatabase("a change over the API", (_dialect, open) => {
  it("is not made by who has lost the right to it since the request began", async () => {
    const access = await openTestAccess(await open([accessMigrations, apiMigrations]));
    const [ann, bob, eve] = [
      await access.addAccount("ann", "password"),
      await access.addAccount("bob", "password"),
      await access.addAccount("eve", "password"),
    ];
    const acme = await addOrganization(access, "acme", { owners: [ann, bob] });
    const be = (role: "owner" | "member"): Promise<void> =>
      access.change((change) => setMember(change, { organization: acme, account: ann, role }));
    const requests: readonly (readonly [method: string, path: string, body: unknown])[] = [
      ["PUT", "/organizations/acme/members/eve", { role: "owner" }],
      ["PUT", "/namespaces/acme/rules", { visibility: "public" }],
      ["POST", "/organizations/acme/teams", { name: "late" }],
      ["POST", "/robots", { name: "late", organization: "acme" }],
      [
        "POST",
        "/grants",
        { role: "guest", to: { kind: "account", name: "eve" }, on: { kind: "organization", name: "acme" } },
      ],
    ];
    for (const [method, path, body] of requests) {
      await be("owner");
      const meanwhile = (): Promise<void> => be("member");
      // A member sees the organization, and nothing of its namespace.
      const code = path.startsWith("/namespaces") ? "OBJECT_UNKNOWN" : "DENIED";
      const sent = sendSlowly(access, callerOf(ann), { method, path, body, meanwhile });
      expect([path, await problemOf(sent)]).toMatchObject([path, { code }]);
    }
    const { read } = access.database;
    const eves = await read.selectFrom("organization_members").selectAll().where("account_id", "=", eve.id).execute();
    expect([eves, await read.selectFrom("grants").selectAll().execute()]).toEqual([[], []]);
    for (const [method, path, body] of requests) {
      await be("owner");
      const { status } = await sendSlowly(access, callerOf(ann), { method, path, body, meanwhile: nothing });
      expect([path, Math.floor(status / 100)]).toEqual([path, 2]);
    }
  });
});
