import { describe, expect, it } from "bun:test";
import { incoming } from "../../../test/support/incoming.ts";
import type { Caller } from "../../access/principal.ts";
import { parseRepositoryName } from "../../oci/names.ts";
import type { Incoming, Reply } from "../../platform/runtime/http.ts";
import type { Registry } from "../../registry/registry.ts";
import { rememberAnswers } from "./remembered-answers.ts";

const digest = `sha256:${"a".repeat(64)}`;
const reply: Reply = {
  kind: "bytes",
  status: 200,
  headers: { "docker-content-digest": digest },
  body: Buffer.from("{}"),
};
const anonymous: Caller = { principal: { kind: "anonymous" } };
const account: Caller = { principal: { kind: "account", id: "1", name: "a" } };

const request = (about: Partial<Incoming> = {}, headers: Readonly<Record<string, string>> = {}): Incoming =>
  incoming({ path: "/v2/library/app/manifests/latest", headers: new Map(Object.entries(headers)), ...about });

const bearer = (token: string): Incoming => request({}, { authorization: `Bearer ${token}` });

function open() {
  const state = { revision: 1, now: 1000, isWithheld: false };
  const refuses: Registry["readGates"][number]["refuses"] = () =>
    state.isWithheld ? { code: "DENIED", rule: "not scanned" } : undefined;
  const registry = { database: { revision: () => state.revision }, readGates: [{ refuses }] };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that is asked for here
  const remembered = rememberAnswers(registry as unknown as Registry, () => state.now);
  const repository = parseRepositoryName("library/app");
  if (repository === undefined) throw new Error("no name");
  const answered = { reply, caller: anonymous, handler: "manifest", repository, dependsOn: undefined };
  const keep = (asked: Incoming, about: Partial<Parameters<typeof remembered.keep>[1]> = {}): Reply =>
    remembered.keep(asked, { ...answered, ...about }, remembered.moment());
  return { state, remembered, keep };
}

describe("an answer is given again", () => {
  it("to GET and HEAD of the same path, as the same object", () => {
    const { remembered, keep } = open();
    keep(request());
    const again = remembered.find(request())?.reply;
    expect(again).toEqual({ ...reply, repeats: true } as never);
    expect(remembered.find(request({ method: "HEAD" }))?.reply).toBe(again as never);
  });

  const others = {
    "another path": request({ path: "/v2/library/app/manifests/v2" }),
    "another query": request({ queryText: "n=2" }),
    "another method": request({ method: "PUT" }),
    "other credentials": request({}, { authorization: "Basic Og==" }),
  };
  it.each(Object.entries(others))("not to %s", (_, other) => {
    const { remembered, keep } = open();
    keep(request());
    expect(remembered.find(other)).toBeUndefined();
  });

  it("not after a commit, nor when it was read before one", () => {
    const { state, remembered, keep } = open();
    keep(request());
    state.revision += 1;
    expect(remembered.find(request())).toBeUndefined();
    state.revision -= 1;
    expect(remembered.find(request())).toBeUndefined();
  });

  it.each(["tags", "catalog", "referrers", "base"])("of a list, %s, to the same query", (handler) => {
    const { state, remembered, keep } = open();
    state.isWithheld = true;
    const page = request({ path: "/v2/library/app/list", queryText: "n=2&last=a" });
    keep(page, { handler, reply: { ...reply, headers: {} } });
    expect(remembered.find(page)?.handler).toBe(handler);
    for (const queryText of ["", "n=2", "n=2&last=b"]) {
      expect(remembered.find({ ...page, queryText })).toBeUndefined();
    }
  });

  it.each([`"${digest}"`, `W/"${digest}"`, "*"])("without its bytes to who has them: %s", (tags) => {
    const { state, remembered, keep } = open();
    const [conditional, unconditional] = [request({}, { "if-none-match": tags }), request()];
    const unchanged = { kind: "empty", status: 304, headers: reply.headers, repeats: true } as const;
    expect(keep(conditional)).toEqual(unchanged);
    expect(remembered.find(unconditional)?.reply.status).toBe(200);
    const again = remembered.find(conditional)?.reply;
    expect(again).toEqual(unchanged);
    expect(remembered.find(conditional)?.reply).toBe(again as never);
    state.isWithheld = true;
    expect(() => remembered.find(conditional)).toThrow();
  });

  it("with its bytes to who has others, and a list to anyone", () => {
    const { remembered, keep } = open();
    const conditional = request({}, { "if-none-match": `"sha256:${"b".repeat(64)}"` });
    expect(keep(conditional)).toBe(reply);
    expect(remembered.find(conditional)?.reply.status).toBe(200);
    const page = request({ path: "/v2/library/app/tags/list" }, { "if-none-match": "*" });
    expect(keep(page, { handler: "tags" })).toBe(reply);
    expect(remembered.find(page)?.reply.status).toBe(200);
  });

  it("not where a gate has closed since", () => {
    const { state, remembered, keep } = open();
    keep(request());
    state.isWithheld = true;
    expect(() => remembered.find(request())).toThrow();
  });
});

describe("an answer to credentials", () => {
  const credentials = { authorization: "Bearer abc" };

  it("is given again until they are no longer good, to the same address", () => {
    const { state, remembered, keep } = open();
    keep(request({}, credentials), { caller: { ...account, goodUntil: 2000 } });
    expect(remembered.find(request({}, credentials))?.caller.principal).toEqual(account.principal);
    expect(remembered.find(request({ remoteAddress: "192.0.2.2" }, credentials))).toBeUndefined();
    expect(remembered.find(request())).toBeUndefined();
    state.now = 2000;
    expect(remembered.find(request({}, credentials))).toBeUndefined();
  });

  it("is not given to a token that begins or ends like it, however many came between", () => {
    const { remembered, keep } = open();
    const caller = { ...account, goodUntil: 2000 };
    for (let at = 0; at < 600; at++) keep(bearer(`token-${at}`), { caller });
    for (const at of [0, 300, 599]) expect(remembered.find(bearer(`token-${at}`))?.caller).toEqual(caller);
    for (const token of ["token-", "token-600", "token-5990", "Token-599", ""]) {
      expect(remembered.find(bearer(token))).toBeUndefined();
    }
  });

  it.each([account, { ...anonymous, scope: [] }])("is not kept where nobody says how long they are good", (caller) => {
    const { remembered, keep } = open();
    keep(request({}, credentials), { caller });
    expect(remembered.find(request({}, credentials))).toBeUndefined();
  });
});

describe("an answer by a right that something else than the database decides on", () => {
  it("is not kept where that is the address", () => {
    const { remembered, keep } = open();
    keep(request(), { dependsOn: { address: true } });
    expect(remembered.find(request({ remoteAddress: "192.0.2.2" }))).toBeUndefined();
    expect(remembered.find(request())).toBeUndefined();
  });

  it("is given again until the right ends", () => {
    const { state, remembered, keep } = open();
    keep(request(), { dependsOn: { until: 2000 } });
    state.now = 1999;
    expect(remembered.find(request())).toBeDefined();
    state.now = 2000;
    expect(remembered.find(request())).toBeUndefined();
  });
});

it.each([
  { reply: { ...reply, status: 206 } },
  { reply: { kind: "empty", status: 304, headers: reply.headers } as const },
  { reply: { ...reply, headers: {} } },
  { handler: "blob" },
])("keeps nothing but whole manifests and lists", (about) => {
  const { remembered, keep } = open();
  keep(request(), about);
  expect(remembered.find(request())).toBeUndefined();
});
