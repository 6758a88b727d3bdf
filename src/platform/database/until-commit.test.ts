import { expect, it } from "bun:test";
import { untilCommit } from "./until-commit.ts";

function open(mostBytes = 1000) {
  const state = { revision: 1 };
  const memory = untilCommit<string>(
    { revision: () => state.revision },
    { mostBytes, bytesOf: (value) => value.length },
  );
  return { state, memory };
}

it("keeps what was read until somebody commits, and then nothing of it", () => {
  const { state, memory } = open();
  memory.keep("a", "1", memory.moment());
  memory.keep("b", "2", memory.moment());
  expect([memory.get("a"), memory.get("b"), memory.get("c")]).toEqual(["1", "2", undefined]);
  state.revision += 1;
  expect(memory.get("a")).toBeUndefined();
  state.revision -= 1;
  expect(memory.get("b")).toBeUndefined();
});

it("does not keep what was read before a commit", () => {
  const { state, memory } = open();
  const moment = memory.moment();
  state.revision += 1;
  memory.keep("a", "1", moment);
  expect(memory.get("a")).toBeUndefined();
});

it("begins anew where it is full", () => {
  const { memory } = open(10);
  for (const key of ["a", "b", "c"]) memory.keep(key, "1234", memory.moment());
  expect(["a", "b", "c"].map((key) => memory.get(key))).toEqual([undefined, undefined, "1234"]);
});

it("keeps nothing where the database cannot tell", () => {
  const memory = untilCommit<string>({}, { mostBytes: 1000, bytesOf: () => 1 });
  memory.keep("a", "1", memory.moment());
  expect(memory.get("a")).toBeUndefined();
});
