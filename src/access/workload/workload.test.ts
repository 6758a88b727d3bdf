import { afterAll, beforeAll, describe, expect, it, setDefaultTimeout } from "bun:test";
import { startIssuer, type TestIssuer } from "../../../test/openid/issuer.ts";
import { openTestAccess, problemOf, type TestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { addOrganization } from "../../../test/support/rights.ts";
import type { Identified } from "../identify.ts";
import { accessMigrations } from "../migrations.ts";
import { changeRobot, createRobot, deleteRobot } from "../robots/change-robots.ts";
import type { NamedRobot } from "../robots/find-robot.ts";
import { githubIssuer } from "./claims.ts";
import { exchangeOnce } from "./exchanges.ts";
import type { Condition, Trust } from "./rule.ts";
import { createRule, deleteRule } from "./rules.ts";

/** Databases are slow on a busy machine. */
setDefaultTimeout(60_000);

const audience = "https://registry.example";
const remoteAddress = "192.0.2.1";
const repository = { claim: "repository", pattern: "acme/app" };
const main = { claim: "ref", pattern: "refs/heads/*" };

let issuer: TestIssuer;
beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(() => issuer[Symbol.asyncDispose]());

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const job = { aud: audience, repository: "acme/app", ref: "refs/heads/main", jti: "" };
let tokens = 0;
const tokenOf = (claims: Readonly<Record<string, unknown>> = {}): Promise<string> =>
  issuer.sign({ ...job, jti: `job-${String((tokens += 1))}`, ...claims });

const trust = (
  { change }: TestAccess,
  robot: NamedRobot,
  more: Partial<Trust> & { readonly conditions?: readonly Condition[] } = {},
) =>
  change((changing) =>
    createRule(changing, {
      robot,
      trust: { issuer: issuer.url, audience, conditions: [repository, main], ...more },
      listed: [issuer.url],
    }),
  );
const show = (access: TestAccess, password: string, more: { readonly name?: string; readonly once?: true } = {}) =>
  access.identify({ name: "robot$acme+ci", password, remoteAddress, ...more });
const outcome = (identified: Identified): string | undefined =>
  identified.kind === "refused" ? identified.why : identified.kind;

describeEachDatabase("a token of another issuer", (_dialect, open) => {
  const start = async () => {
    const listed = [{ url: issuer.url, allow: [] }];
    const access = await openTestAccess(await open([accessMigrations]), "standard", { issuers: listed });
    const acme = await addOrganization(access, "acme");
    const robot = await access.change((change) => createRobot(change, { name: "ci", organization: acme }));
    return { access, robot };
  };
  it("is a robot's where a rule says so and all of its conditions hold", async () => {
    const { access, robot } = await start();
    const { id } = await trust(access, robot);
    const token = await tokenOf();
    const identified = await show(access, token);
    expect(identified).toMatchObject({
      kind: "caller",
      caller: { principal: { kind: "robot", ...robot }, ruleId: id },
    });
    for (const [claims, wanted] of [
      [{ repository: "acme/app2" }, "conditions"],
      [{ repository: "x/acme/app" }, "conditions"],
      [{ repository: undefined }, "conditions"],
      [{ ref: "refs/tags/v1" }, "conditions"],
      [{ aud: "https://other.example" }, "conditions"],
      [{ aud: undefined }, "claims"],
      [{ iss: "https://another.example" }, "rule"],
      [{ exp: nowSeconds() - 100 }, "expired"],
      [{ iat: nowSeconds() - 3700 }, "too-old"],
      [{ exp: nowSeconds() + 24 * 3600 + 10 }, "lifetime"],
      [{ ref: ["refs/tags/v1", "refs/heads/x"] }, "caller"],
    ] as const) {
      const other = await openTestAccess(access.database, "standard", { issuers: [{ url: issuer.url, allow: [] }] });
      await access.database.write((tx) => tx.deleteFrom("login_failures").execute());
      expect([claims, outcome(await show(other, await tokenOf(claims)))]).toEqual([claims, wanted]);
    }
  });

  it("is nobody's without a rule, under another name, and where the robot is disabled, over or gone", async () => {
    const { access, robot } = await start();
    const token = await tokenOf();
    expect(outcome(await show(access, token))).toBe("rule");
    await trust(access, robot);
    expect(outcome(await show(access, token))).toBe("caller");
    expect(outcome(await show(access, token, { name: "ROBOT$acme+ci " }))).toBe("caller");
    expect(outcome(await show(access, token, { name: "robot$ci" }))).toBe("rule");
    // Of people it is a password, and none that anybody has.
    expect(await show(access, token, { name: "admin" })).toEqual({ kind: "refused" });
    const change = (wanted: object) => access.change((tx) => changeRobot(tx, { name: robot.name, ...wanted }));
    await change({ disabled: true });
    expect(outcome(await show(access, token))).toBe("rule");
    await change({ disabled: false, expiresAt: access.clock.now() + 1000 });
    expect(outcome(await show(access, token))).toBe("caller");
    access.clock.advance(1000);
    expect(outcome(await show(access, token))).toBe("rule");
    await access.change((tx) => deleteRobot(tx, robot.name));
    expect(await access.database.read.selectFrom("workload_rules").select("id").execute()).toEqual([]);
  });

  it("is good as a password until its end, and exchanged but once, after which it is good for nothing", async () => {
    const { access, robot } = await start();
    await trust(access, robot);
    const token = await tokenOf();
    for (let at = 0; at < 3; at++) expect(outcome(await show(access, token))).toBe("caller");
    const exchanged = await Promise.all(Array.from({ length: 5 }, () => show(access, token, { once: true })));
    const outcomes = Object.groupBy(exchanged.map(outcome), (one) => one ?? "");
    expect(outcomes).toMatchObject({ caller: { length: 1 }, replayed: { length: 4 } });
    expect(outcome(await show(access, token))).toBe("replayed");
  });

  it("is known by all that is signed of it where it has no id", async () => {
    const { access, robot } = await start();
    await trust(access, robot);
    const token = await tokenOf({ jti: undefined });
    expect(outcome(await show(access, token, { once: true }))).toBe("caller");
    expect(outcome(await show(access, token, { once: true }))).toBe("replayed");
    const another = await tokenOf({ jti: undefined, run: 2 });
    expect(outcome(await show(access, another, { once: true }))).toBe("caller");
  });

  it("counts as a wrong password where it is no good, and not where nobody can tell", async () => {
    const { access, robot } = await start();
    await trust(access, robot);
    const wrong = await tokenOf({ ref: "x" });
    for (let at = 0; at < 10; at++) expect(outcome(await show(access, wrong))).toBe("conditions");
    expect(await problemOf(show(access, wrong))).toMatchObject({ code: "TOO_MANY_REQUESTS" });
    // A right one is let in all the same: nobody guesses one.
    expect(outcome(await show(access, await tokenOf()))).toBe("caller");
    await using away = await startIssuer();
    const trusting = await openTestAccess(access.database, "standard", { issuers: [{ url: away.url, allow: [] }] });
    await trusting.change((tx) =>
      createRule(tx, { robot, trust: { issuer: away.url, audience, conditions: [main] }, listed: [away.url] }),
    );
    const token = await away.sign(job);
    await away.kill();
    for (let at = 0; at < 12; at++)
      expect(outcome(await trusting.identify({ name: robot.name, password: token, remoteAddress: "192.0.2.9" }))).toBe(
        "unavailable",
      );
  });

  it("is exchanged for a token that its end and the rule's end", async () => {
    const { access, robot } = await start();
    const { id } = await trust(access, robot);
    const identified = await show(access, await tokenOf(), { once: true });
    if (identified.kind !== "caller") throw new Error("it was refused");
    const holder = { ...robot, epoch: identified.epoch, robot: true, ruleId: id } as const;
    const issue = (until: number) => access.tokens.issue(holder, [], { mostSeconds: 3600, until });
    const [short, long] = [await issue(access.clock.now() + 500_000), await issue(Infinity)];
    expect([short.expiresInSeconds, long.expiresInSeconds]).toEqual([500, 3600]);
    expect((await issue(access.clock.now() + 1000)).expiresInSeconds).toBe(60);
    access.clock.advance(600_000);
    expect(await access.tokens.verify(short.token)).toBeUndefined();
    expect(await access.tokens.verify(long.token)).toMatchObject({
      principal: { kind: "robot", ...robot },
      ruleId: id,
    });
    // Without a rule, none of ours lives for so long.
    const { ruleId: _, ...others } = holder;
    const forged = await access.tokens.issue(others, [], { mostSeconds: 3600 });
    expect(await access.tokens.verify(forged.token)).toBeUndefined();
    await access.change((tx) => deleteRule(tx, id));
    expect(await access.tokens.verify(long.token)).toBeUndefined();
  });

  it("that was exchanged is remembered until its end, and a robot's exchanges have a bound", async () => {
    const { access, robot } = await start();
    const { database } = access;
    const exchange = (key: string, robotId: string, now: number) =>
      exchangeOnce(database, { key, robotId, expiresAt: now + 1000, now, most: 2 });
    expect(await exchange("a", robot.id, 0)).toBe("done");
    expect(await exchange("b", robot.id, 1)).toBe("done");
    expect(await exchange("c", robot.id, 2)).toBe("too-many");
    expect(await exchange("c", "another", 2)).toBe("done");
    expect(await exchange("c", robot.id, 1000)).toBe("replayed");
    expect(await exchange("d", robot.id, 1001)).toBe("done");
    const rows = await database.read.selectFrom("workload_exchanges").select("key").orderBy("key").execute();
    expect(rows.map(({ key }) => key)).toEqual(["c", "d"]);
  });

  it("is tried out without being used up: each rule tells what holds", async () => {
    const { access, robot } = await start();
    const [fits, elsewhere] = [
      await trust(access, robot),
      await trust(access, robot, { issuer: "https://issuer.example", conditions: [repository] }),
    ];
    const branch = await trust(access, robot, { conditions: [{ claim: "ref", pattern: "refs/tags/v*" }] });
    const token = await tokenOf();
    const { workload } = access;
    const tried = await workload.tryOut({ name: robot.name, token });
    expect(tried).toHaveLength(3);
    const failing = (id: string) => tried.find((one) => one.id === id)?.checks.filter(({ ok }) => !ok);
    expect(failing(fits.id)).toEqual([]);
    expect(failing(branch.id)).toEqual([{ what: "ref=refs/tags/v*", ok: false, given: ["refs/heads/main"] }]);
    expect(failing(elsewhere.id)).toEqual([{ what: "iss=https://issuer.example", ok: false, given: [issuer.url] }]);
    expect(tried.filter(({ trusted }) => trusted).map(({ id }) => id)).toEqual([fits.id]);
    const expired = await workload.tryOut({ name: robot.name, token: await tokenOf({ exp: nowSeconds() - 100 }) });
    expect(expired.find(({ id }) => id === fits.id)).toMatchObject({
      trusted: false,
      checks: expect.arrayContaining([{ what: "it has run out", ok: false }]),
    });
    const none = await workload.tryOut({ name: robot.name, token: "no token" });
    expect(none.map(({ trusted }) => trusted)).toEqual([false, false, false]);
    expect(outcome(await show(access, token, { once: true }))).toBe("caller");
  });

  describe("has a rule that", () => {
    it.each<[string, Partial<Trust>, RegExp]>([
      ["has no condition", { conditions: [] }, /whoever the issuer knows would be this robot/],
      ["has a condition that is none", { conditions: [{ claim: "sub", pattern: "**" }] }, /whoever the issuer knows/],
      ["has no audience", { audience: "" }, /audience/],
      ["has no issuer", { issuer: "issuer.example" }, /https:\/\//],
      ["has an issuer without TLS", { issuer: "http://127.0.0.1:1" }, /access.issuers/],
      ["asks for what is looked at anyway", { conditions: [{ claim: "aud", pattern: "x" }] }, /in any case/],
      ["asks for too many", { conditions: Array.from({ length: 17 }, () => main) }, /16 conditions/],
      ["has a pattern without end", { conditions: [{ claim: "a", pattern: "*a".repeat(17) }] }, /16 \*/],
      ["has a claim without a name", { conditions: [{ claim: "a b", pattern: "x" }] }, /claim's name/],
      ["trusts a workflow of everyone's", { issuer: githubIssuer, conditions: [main] }, /signs for everyone/],
      [
        "trusts names that begin so",
        { issuer: githubIssuer, conditions: [{ claim: "repository", pattern: "acme*" }] },
        /signs for everyone/,
      ],
      [
        "trusts who calls a workflow",
        { issuer: githubIssuer, conditions: [{ claim: "job_workflow_ref", pattern: "acme/ci/.github/w.yml@x" }] },
        /signs for everyone/,
      ],
    ])("is not made where it %s", async (_what, wanted, why) => {
      const { access, robot } = await start();
      const problem = await problemOf(trust(access, robot, wanted));
      expect(problem).toMatchObject({ code: "INPUT_INVALID", faults: [{ reason: expect.stringMatching(why) }] });
      expect(await access.database.read.selectFrom("workload_rules").select("id").execute()).toEqual([]);
    });

    it.each([
      ["sub", "repo:acme/*:environment:production"],
      ["sub", "repo:acme@12/app@34:*"],
      ["repository_owner_id", "12"],
      ["repository", "acme/*"],
    ])("is made for GitHub's tokens whose %s is %s", async (claim, pattern) => {
      const { access, robot } = await start();
      await trust(access, robot, { issuer: githubIssuer, conditions: [{ claim, pattern }] });
    });

    it("is one of 20 of a robot at most, and is told as made and deleted", async () => {
      const { access, robot } = await start();
      const made = [];
      for (let at = 0; at < 20; at++) made.push(await trust(access, robot));
      expect(await problemOf(trust(access, robot))).toMatchObject({ code: "CONFLICT" });
      const [first] = made;
      await access.change((tx) => deleteRule(tx, first?.id ?? ""));
      await trust(access, robot);
      expect(await problemOf(access.change((tx) => deleteRule(tx, first?.id ?? "")))).toMatchObject({
        code: "OBJECT_UNKNOWN",
      });
    });
  });
});
