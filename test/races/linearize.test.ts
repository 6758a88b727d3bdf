import { expect, test } from "bun:test";
import { seeded } from "../hostile/fuzz/random.ts";
import type { Entry } from "./history/history.ts";
import { explain, isLinearizable, shrink } from "./history/linearize.ts";
import { modelOf } from "./program/model.ts";
import { done, incomplete, missing, type Operation, refused } from "./program/operation.ts";
import { makeUniverse } from "./program/universe.ts";

const model = modelOf(makeUniverse("linearize", seeded(1)));

/** One client an operation, by its time, its answer and what it did. */
const history = (...entries: readonly (readonly [number, number, string | undefined, Operation])[]): readonly Entry[] =>
  entries.map(([calledAt, returnedAt, outcome, operation], client) => ({
    client,
    operation,
    calledAt,
    returnedAt,
    outcome,
  }));

const r0 = { repository: "r0" };
const push = (manifest: string, ...tags: readonly string[]): Operation => ({ kind: "push", ...r0, manifest, tags });
const pushIf = (manifest: string, ...from: readonly string[]): Operation => ({
  kind: "push",
  ...r0,
  manifest,
  tags: ["a"],
  condition: { kind: "is-one-of", manifests: from },
});
const pull: Operation = { kind: "get-tag", ...r0, tag: "a" };
const list: Operation = { kind: "list-tags", ...r0 };
const deleted = (manifest: string): Operation => ({ kind: "delete-manifest", ...r0, manifest });
const onBlob = (kind: "get-blob" | "head-blob" | "delete-blob"): Operation => ({ kind, ...r0, blob: "b0" });
const pushBlob: Operation = { kind: "push-blob", ...r0, blob: "b0" };
const expire: Operation = { kind: "expire", blob: "b0" };

const right: Readonly<Record<string, readonly Entry[]>> = {
  "a reader beside a push sees it": history([1, 9, done, push("x0", "a")], [2, 3, "x0", pull]),
  "a reader beside a push does not see it yet": history([1, 9, done, push("x0", "a")], [2, 3, missing, pull]),
  "what had no answer happened late": history(
    [1, Infinity, undefined, push("x0", "a")],
    [2, 3, missing, pull],
    [4, 5, "x0", pull],
  ),
  "what had no answer never happened": history([1, Infinity, undefined, push("x0", "a")], [2, 3, missing, pull]),
  "one of two conditional pushes comes first": history(
    [1, 2, done, push("x0", "a")],
    [3, 9, done, pushIf("x1", "x0")],
    [3, 8, refused, pushIf("i0", "x0")],
  ),
  "a blob whose lease is over is there as long as it is": history(
    [1, 2, done, pushBlob],
    [3, 4, done, expire],
    [5, 6, done, onBlob("get-blob")],
    [7, 8, missing, onBlob("get-blob")],
  ),
  "a manifest without its blobs is refused": history([1, 2, incomplete, push("m0", "a")], [3, 4, "[]", list]),
};

const wrong: Readonly<Record<string, readonly Entry[]>> = {
  "a read from before an acknowledged push": history([1, 2, done, push("x0", "a")], [3, 4, missing, pull]),
  "two readers see two orders": history(
    [1, 20, done, push("x0", "a")],
    [1, 20, done, push("x1", "a")],
    [2, 3, "x0", pull],
    [4, 5, "x1", pull],
    [6, 7, "x0", pull],
  ),
  "what had no answer happened, and then it had not": history(
    [1, Infinity, undefined, push("x0", "a")],
    [2, 3, "x0", pull],
    [4, 5, missing, pull],
  ),
  "two conditional pushes from one digest": history(
    [1, 2, done, push("x0", "a")],
    [3, 9, done, pushIf("x1", "x0")],
    [3, 9, done, pushIf("i0", "x0")],
  ),
  "half of several tags": history([1, 9, done, push("x0", "b", "a")], [2, 3, '["b"]', list]),
  "a tag whose manifest was deleted": history(
    [1, 2, done, push("x0", "a")],
    [3, 4, done, deleted("x0")],
    [5, 6, '["a"]', list],
  ),
  "two deletes that both did it": history(
    [1, 2, done, pushBlob],
    [3, 9, done, onBlob("delete-blob")],
    [3, 9, done, onBlob("delete-blob")],
  ),
  "a blob that goes within its lease": history([1, 2, done, pushBlob], [3, 4, missing, onBlob("get-blob")]),
  "a blob that goes though somebody renewed its lease": history(
    [1, 2, done, pushBlob],
    [3, 4, done, expire],
    [5, 6, done, onBlob("head-blob")],
    [7, 8, missing, onBlob("get-blob")],
  ),
  "a blob that comes back by itself": history(
    [1, 2, done, pushBlob],
    [3, 4, done, expire],
    [5, 6, missing, onBlob("get-blob")],
    [7, 8, done, onBlob("get-blob")],
  ),
  "an answer that no registry gives": history([1, 2, "failed: SQLITE_BUSY", push("x0", "a")]),
};

for (const [what, entries] of Object.entries(right)) {
  test(`can be explained: ${what}`, () => {
    expect(explain(entries, model)).toBeUndefined();
  });
}

for (const [what, entries] of Object.entries(wrong)) {
  test(`cannot be explained: ${what}`, () => {
    expect(isLinearizable(entries, model)).toBe(false);
    expect(explain(entries, model)).toContain("no order of these");
  });
}

test("what is told is what it takes: nothing after the first wrong answer, and no reader who saw nothing new", () => {
  const entries = history(
    [1, 2, done, push("x0", "a")],
    [3, 4, "x0", pull],
    [5, 6, "[]", list],
    [7, 8, "x0", pull],
    [9, 10, done, push("x1", "a")],
  );
  expect(shrink(entries, model).map(({ client }) => client)).toEqual([0, 2]);
});
