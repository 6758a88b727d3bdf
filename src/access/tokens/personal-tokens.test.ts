import { expect, it, setDefaultTimeout } from "bun:test";
import { openTestAccess, problemOf, type TestAccess } from "../../../test/support/access.ts";
import { describeEachDatabase } from "../../../test/support/databases.ts";
import { repositoryName } from "../../../test/support/registry.ts";
import { addOrganization, addRepositories, callerOf, grant } from "../../../test/support/rights.ts";
import { sequenceEvents } from "../../platform/events/positions.ts";
import { readChanges } from "../../platform/events/consume-events.ts";
import { type Account, deleteAccount, setDisabled } from "../accounts.ts";
import { grantable } from "../grantable.ts";
import { accessMigrations } from "../migrations.ts";
import type { Caller } from "../principal.ts";
import { withChecksum } from "../opaque-token.ts";
import { mostFailuresOfPair } from "../sign-in-failures.ts";
import { createToken, type MadeToken, type NewToken, rotateToken, setTokenState } from "./change-tokens.ts";
import { listTokens } from "./list-tokens.ts";
import { parseTokenScopes } from "./token-scopes.ts";

/** Databases are slow on a busy machine. */
setDefaultTimeout(30_000);

const home = "192.0.2.1";
const limits = { defaultDays: 90, maximumDays: 365 };
const dayMs = 24 * 60 * 60_000;
const pull = { type: "repository", name: "acme/app", actions: ["pull"] } as const;

const ownerOf = ({ id, name }: Account) => ({ kind: "account", id, name }) as const;

type Wanted = Partial<Omit<NewToken, "scopes">> & { readonly scopes?: readonly string[] };

const make = (access: TestAccess, account: Account, { scopes = ["**:read"], ...wanted }: Wanted = {}) =>
  access.change((change) =>
    createToken(change, limits, {
      owner: ownerOf(account),
      name: "ci",
      scopes: parseTokenScopes(scopes),
      ...wanted,
    }),
  );

type Shown = readonly [name: string, password: string];

async function signIn(access: TestAccess, [name, password]: Shown, from = home): Promise<Caller | undefined> {
  const identified = await access.identify({ name, password, remoteAddress: from });
  return identified.kind === "caller" ? identified.caller : undefined;
}

/** A bearer token as /token gives it to whoever shows the token. */
async function bearer(access: TestAccess, token: MadeToken): Promise<string> {
  const identified = await access.identify({ name: "ann", password: token.text, remoteAddress: home });
  if (identified.kind !== "caller" || identified.caller.principal.kind === "anonymous") throw new Error("refused");
  const { caller, epoch } = identified;
  const granted = await grantable(access.authorize, caller, [pull]);
  return (await access.tokens.issue({ ...identified.caller.principal, epoch, tokenId: token.id }, granted)).token;
}

const may = async (access: TestAccess, caller: Caller | undefined, verb: "read" | "create"): Promise<boolean> =>
  caller !== undefined &&
  (await access.authorize(caller, verb, { kind: "repository", name: repositoryName("acme/app") })).allowed;

describeEachDatabase("a personal token", (_dialect, open) => {
  const start = async () => {
    const access = await openTestAccess(await open([accessMigrations]));
    const [ann, bob] = [await access.addAccount("ann", "password"), await access.addAccount("bob", "password")];
    await addOrganization(access, "acme");
    await addRepositories(access, { "acme/app": "private" });
    const granted = await grant(access, "developer", { to: ann, on: "namespace acme" });
    return { access, ann, bob, granted };
  };

  it("is a password of its owner, under any spelling of that name and no other", async () => {
    const { access, ann } = await start();
    const { text, id, expiresAt } = await make(access, ann);
    expect(text).toMatch(/^berth_pat_[0-9A-Za-z]{54}$/);
    expect(expiresAt).toBe(access.clock.now() + 90 * dayMs);
    expect(await signIn(access, [" ANN ", text])).toMatchObject({ principal: { id: ann.id }, tokenId: id });
    expect(await signIn(access, ["bob", text])).toBeUndefined();
    expect(await signIn(access, ["", text])).toBeUndefined();
    expect(access.passwords.verified()).toBe(0);
    // The pages of people are for passwords.
    expect(await access.verifyPassword({ name: "ann", password: text, remoteAddress: home })).toEqual({
      kind: "refused",
    });
  });

  it("leaves no usable secret in the database, nor in what is told of it", async () => {
    const { access, ann } = await start();
    const { text } = await make(access, ann);
    await sequenceEvents(access.database);
    const secret = text.slice("berth_pat_".length + 16);
    const stored = [
      await access.database.read.selectFrom("tokens").selectAll().execute(),
      await readChanges(access.database, { after: 0, limit: 100 }),
      await listTokens(access.database.read, { owner: ownerOf(ann), now: 0 }, { after: undefined, limit: 9 }),
    ];
    expect(JSON.stringify(stored)).not.toContain(secret);
    expect(JSON.stringify(stored.slice(1))).not.toContain("secret_hash");
    expect(JSON.stringify(stored[1])).toContain('"token-created"');
  });

  it("can what its scopes and its owner can, as they are now", async () => {
    const { access, ann, granted } = await start();
    const [reading, all, elsewhere] = [
      await make(access, ann),
      await make(access, ann, { scopes: ["acme/**:read,create,update,delete,admin"] }),
      await make(access, ann, { scopes: ["acme/web/**:read", "bob/*:read"] }),
    ];
    const rights = async () =>
      Promise.all(
        [reading, all, elsewhere].map(async ({ text }) => {
          const caller = await signIn(access, ["ann", text]);
          return [await may(access, caller, "read"), await may(access, caller, "create")];
        }),
      );
    expect(await rights()).toEqual([
      [true, false],
      [true, true],
      [false, false],
    ]);
    const caller = await signIn(access, ["ann", all.text]);
    const decision = await access.authorize(caller ?? { principal: { kind: "anonymous" } }, "read", {
      kind: "namespace",
      name: "acme",
      subject: "member",
    });
    expect(decision).toMatchObject({ allowed: false, lacking: "scope" });
    await access.change(({ tx }) => tx.deleteFrom("grants").where("id", "=", granted).execute());
    expect(await rights()).toEqual([
      [false, false],
      [false, false],
      [false, false],
    ]);
  });

  it("counts no more with the next request when it, its owner, or its time is at an end, nor does what came of it", async () => {
    const { access, ann } = await start();
    const ends: readonly ((token: MadeToken) => Promise<unknown>)[] = [
      ({ id }) => access.change((change) => setTokenState(change, { id, state: "disabled" })),
      ({ id }) => access.change((change) => setTokenState(change, { id, state: "revoked" })),
      ({ id }) => access.change((change) => rotateToken(change, limits, { id, overlapMs: 0 })),
      () => access.change(({ tx }) => setDisabled(tx, ann.id, true)),
    ];
    for (const end of ends) {
      const token = await make(access, ann);
      const issued = await bearer(access, token);
      expect(await may(access, await access.tokens.verify(issued, home), "read")).toBe(true);
      await end(token);
      expect(await signIn(access, ["ann", token.text])).toBeUndefined();
      expect(await access.tokens.verify(issued, home)).toBeUndefined();
    }
    await access.change(({ tx }) => setDisabled(tx, ann.id, false));
    const brief = await make(access, ann, { expiresAt: access.clock.now() + 1000 });
    const issued = await bearer(access, brief);
    expect((await access.tokens.verify(issued, home))?.goodUntil).toBe(access.clock.now() + 1000);
    access.clock.advance(1000);
    expect(await signIn(access, ["ann", brief.text])).toBeUndefined();
    expect(await access.tokens.verify(issued, home)).toBeUndefined();
    const last = await make(access, ann);
    await access.change(({ tx }) => deleteAccount(tx, ann.id));
    await access.addAccount("ann", "password");
    expect(await signIn(access, ["ann", last.text])).toBeUndefined();
    expect(access.refusals).toEqual(["disabled", "revoked", "expired", "owner", "expired", "unknown"]);
  });

  it("is good from its networks alone, and so is what came of it", async () => {
    const { access, ann } = await start();
    const token = await make(access, ann, { networks: ["192.0.2.0/28", "2001:db8::/32"] });
    expect(await signIn(access, ["ann", token.text])).toBeDefined();
    expect(await signIn(access, ["ann", token.text], "2001:db8::1")).toBeDefined();
    expect(await signIn(access, ["ann", token.text], "192.0.2.99")).toBeUndefined();
    const issued = await bearer(access, token);
    expect(await access.tokens.verify(issued, home)).toBeDefined();
    expect(await access.tokens.verify(issued, "192.0.2.99")).toBeUndefined();
    expect(await access.tokens.verify(issued)).toBeUndefined();
  });

  it("that is wrong counts as a wrong password does, and costs no query where it is mistyped", async () => {
    const { access, ann } = await start();
    const { text, id } = await make(access, ann);
    await access.change((change) => setTokenState(change, { id, state: "revoked" }));
    const right = await make(access, ann);
    const typo = text.slice(0, -1) + (text.endsWith("A") ? "B" : "A");
    for (let attempt = 0; attempt < 20; attempt += 1) expect(await signIn(access, ["ann", typo])).toBeUndefined();
    const { identifier } = await import("../identify.ts");
    const unasked = identifier({
      holders: { token: () => Promise.reject(new Error("a query")) },
      verifyPassword: access.verifyPassword,
      failures: { namesOf: never, count: never, judge: never, record: never, clear: never },
      uses: access.tokenUses,
      tokenRefused: () => undefined,
      workload: { identify: never },
      now: access.clock.now,
    });
    expect(await unasked({ name: "ann", password: typo, remoteAddress: home })).toEqual({
      kind: "refused",
      why: "malformed",
    });
    for (let attempt = 0; attempt < mostFailuresOfPair; attempt += 1) {
      expect(await signIn(access, ["ann", text])).toBeUndefined();
    }
    expect(await problemOf(signIn(access, ["ann", text]))).toMatchObject({ code: "TOO_MANY_REQUESTS" });
    expect(await problemOf(signIn(access, ["ann", "password"]))).toMatchObject({ code: "TOO_MANY_REQUESTS" });
    // Whoever shares an address with a program that has an old one goes on.
    expect(await signIn(access, ["ann", right.text])).toBeDefined();
  });

  it("of which much is right is refused no later than one of which nothing is", async () => {
    const { access, ann } = await start();
    const { text } = await make(access, ann);
    const [whole, idEnds] = [text.length - 6, "berth_pat_".length + 16];
    const from = (end: number): string =>
      withChecksum(text.slice(0, end) + text.slice(end, whole).replaceAll(/./g, (one) => (one === "A" ? "B" : "A")));
    const guesses = { nothing: from("berth_pat_".length), id: from(idEnds), most: from(whole - 1) };
    const kinds = ["nothing", "id", "most"] as const;
    const times = { nothing: [] as number[], id: [] as number[], most: [] as number[] };
    for (let round = 0; round < 100; round += 1) {
      for (const kind of [...kinds.slice(round % 3), ...kinds.slice(0, round % 3)]) {
        const began = performance.now();
        expect(await signIn(access, ["ann", guesses[kind]], `192.0.2.${String(round)}`)).toBeUndefined();
        times[kind].push(performance.now() - began);
      }
    }
    // Of a busy machine the quickest of many counts.
    const quickest = kinds.map((kind) => Math.min(...times[kind]));
    expect(Math.max(...quickest) / Math.min(...quickest)).toBeLessThan(2.5);
  });

  it("is rotated with an overlap, in which both are good", async () => {
    const { access, ann } = await start();
    const old = await make(access, ann, { networks: ["192.0.2.0/24"], expiresAt: access.clock.now() + 10 * dayMs });
    access.clock.advance(dayMs);
    const next = await access.change((change) => rotateToken(change, limits, { id: old.id, overlapMs: dayMs }));
    expect(next.expiresAt).toBe(access.clock.now() + 10 * dayMs);
    expect(next.oldExpiresAt).toBe(access.clock.now() + dayMs);
    for (const { text } of [old, next]) expect(await signIn(access, ["ann", text])).toBeDefined();
    expect(await signIn(access, ["ann", next.text], "198.51.100.1")).toBeUndefined();
    access.clock.advance(dayMs);
    expect(await signIn(access, ["ann", old.text])).toBeUndefined();
    expect(await signIn(access, ["ann", next.text])).toMatchObject({ tokenScope: parseTokenScopes(["**:read"]) });
    const again = access.change((change) => rotateToken(change, limits, { id: old.id, overlapMs: dayMs }));
    expect(await problemOf(again)).toMatchObject({ code: "CONFLICT" });
  });

  it("that rotates itself wins no time, and the one before it has had its turn", async () => {
    const { access, ann } = await start();
    const first = await make(access, ann, { expiresAt: access.clock.now() + 10 * dayMs });
    access.clock.advance(9 * dayMs);
    const rotate = async ({ id, text }: MadeToken) => {
      const caller = await signIn(access, ["ann", text]);
      return access.change((change) => rotateToken(change, limits, { id, overlapMs: 90 * dayMs }), caller);
    };
    const second = await rotate(first);
    expect([second.expiresAt, second.oldExpiresAt]).toEqual([first.expiresAt, first.expiresAt]);
    // Whoever has stolen the first is shut out by whoever rotates, and the other way round is seen.
    expect(await problemOf(rotate(first))).toMatchObject({ code: "CONFLICT" });
    const both = await Promise.allSettled([rotate(second), rotate(second)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    access.clock.advance(dayMs);
    const late = both.flatMap((one) => (one.status === "fulfilled" ? one.value.text : []));
    for (const text of [first.text, second.text, ...late]) expect(await signIn(access, ["ann", text])).toBeUndefined();
    // With the password in hand it is renewed.
    const own = await make(access, ann, { expiresAt: access.clock.now() + 10 * dayMs });
    access.clock.advance(dayMs);
    const renewed = await access.change(
      (change) => rotateToken(change, limits, { id: own.id, overlapMs: 0 }),
      callerOf(ann),
    );
    expect(renewed.expiresAt).toBe(access.clock.now() + 10 * dayMs);
  });

  it("makes secrets of robots from no further away and for no longer than it is good itself", async () => {
    const { access, ann } = await start();
    const now = access.clock.now();
    const { text } = await make(access, ann, {
      scopes: ["**:read"],
      networks: ["192.0.2.0/24", "10.0.0.0/8"],
      expiresAt: now + 2 * dayMs,
    });
    const caller = await signIn(access, ["ann", text]);
    const owner = { kind: "robot", id: "r", name: "robot$r" } as const;
    const attempt = (more: Partial<NewToken>) =>
      access.change(
        (change) => createToken(change, limits, { owner, name: "x", scopes: parseTokenScopes(["**:read"]), ...more }),
        caller,
      );
    for (const more of [
      {},
      { networks: ["0.0.0.0/0"] },
      { networks: ["10.0.0.0/8", "0.0.0.0/0"] },
      { networks: ["10.0.0.0/8"], expiresAt: now + 3 * dayMs },
    ]) {
      expect(await problemOf(attempt(more))).toMatchObject({ code: "DENIED" });
    }
    expect((await attempt({ networks: ["10.0.0.0/8"] })).expiresAt).toBe(now + 2 * dayMs);
  });

  it("that is revoked stays so, and one that is disabled may come back", async () => {
    const { access, ann } = await start();
    const { id, text } = await make(access, ann);
    const set = (state: "active" | "disabled" | "revoked") =>
      access.change((change) => setTokenState(change, { id, state }));
    await set("disabled");
    expect(await signIn(access, ["ann", text])).toBeUndefined();
    await set("active");
    expect(await signIn(access, ["ann", text])).toBeDefined();
    await set("revoked");
    expect(await problemOf(set("active"))).toMatchObject({ code: "CONFLICT" });
    expect(await signIn(access, ["ann", text])).toBeUndefined();
  });

  it("makes no other, and of a robot's none that can more", async () => {
    const { access, ann } = await start();
    const { text } = await make(access, ann, { scopes: ["acme/**:read"] });
    const caller = await signIn(access, ["ann", text]);
    const robot = { kind: "robot", id: "r", name: "robot$r" } as const;
    const attempt = (owner: NewToken["owner"], scopes?: readonly string[]) =>
      access.change(
        (change) =>
          createToken(change, limits, { owner, name: "x", ...(scopes && { scopes: parseTokenScopes(scopes) }) }),
        caller,
      );
    expect(await problemOf(attempt(ownerOf(ann), ["acme/app:read"]))).toMatchObject({ code: "DENIED" });
    for (const wide of [undefined, ["**:read"], ["acme/app:create"], ["acm*/**:read"], ["acme/*:read", "x:read"]]) {
      expect(await problemOf(attempt(robot, wide))).toMatchObject({ code: "DENIED" });
    }
    for (const narrow of [["acme/**:read"], ["acme/*:read"], ["acme/a*/**:read", "acme/web/app:read"]]) {
      expect((await attempt(robot, narrow)).text).toStartWith("berth_robot_");
    }
    // Whoever signed in with a password is not limited so.
    const own = (change: Parameters<typeof createToken>[0]) =>
      createToken(change, limits, { owner: ownerOf(ann), name: "x", scopes: parseTokenScopes(["**:read"]) });
    expect((await access.change(own, callerOf(ann))).id).toBeString();
  });

  it("is refused where it cannot be, and those that have ended make room for others", async () => {
    const { access, ann } = await start();
    const now = access.clock.now();
    const wrong: readonly Wanted[] = [
      { name: "" },
      { name: "a\nb" },
      { expiresAt: now },
      { expiresAt: now + 366 * dayMs },
      { networks: [] },
      { networks: ["not a network"] },
    ];
    for (const wanted of wrong)
      expect(await problemOf(make(access, ann, wanted))).toMatchObject({ code: "INPUT_INVALID" });
    const scopes = [
      [],
      ["acme"],
      ["acme/**:"],
      ["acme/**:fly"],
      ["**/a:read"],
      ["a:read", ...Array(32).fill("b:read")],
    ];
    for (const one of scopes) {
      const parsed = (async () => parseTokenScopes(one as readonly string[]))();
      expect(await problemOf(parsed)).toMatchObject({ code: "INPUT_INVALID" });
    }
    const { id } = await make(access, ann);
    for (let count = 1; count < 100; count += 1) await make(access, ann);
    expect(await problemOf(make(access, ann))).toMatchObject({ code: "CONFLICT" });
    await access.change((change) => setTokenState(change, { id, state: "revoked" }));
    expect((await make(access, ann)).id).not.toBe(id);
  });

  it("tells when and from where it was last used, written down once a minute at most", async () => {
    const { access, ann } = await start();
    const { text } = await make(access, ann);
    const shown = async () => {
      const page = { after: undefined, limit: 9 };
      const { items } = await listTokens(access.database.read, { owner: ownerOf(ann), now: 0 }, page);
      return [items[0]?.lastUsedAt, items[0]?.lastUsedAddress];
    };
    const used = async (from: string): Promise<void> => {
      for (let count = 0; count < 50; count += 1) await signIn(access, ["ann", text], from);
      await access.tokenUses.flush();
    };
    expect(await shown()).toEqual([undefined, undefined]);
    const first = access.clock.now();
    await used(home);
    expect(await shown()).toEqual([first, home]);
    access.clock.advance(59_000);
    await used("192.0.2.7");
    expect(await shown()).toEqual([first, home]);
    access.clock.advance(1000);
    await used("192.0.2.7");
    expect(await shown()).toEqual([first + 60_000, "192.0.2.7"]);
  });
});

const never = (): never => {
  throw new Error("not asked");
};
