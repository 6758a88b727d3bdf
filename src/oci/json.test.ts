import { expect, test } from "bun:test";
import { parseJsonObject } from "./json.ts";

const parse = (text: string) => parseJsonObject(Buffer.from(text));
const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

test("reads one object", () => {
  expect(parse('{"a":[1,"x",null,true,{"b":{}}]}')).toEqual({ a: [1, "x", null, true, { b: {} }] });
  expect(parse(" \n{}\t")).toEqual({});
});

test.each([
  "",
  "[]",
  "null",
  "1",
  '"text"',
  "true",
  "{",
  "{}{}",
  "{'a':1}",
  '{"a":1,}',
  "{a:1}",
  '{"a":NaN}',
  "\uFEFF{}",
  "// x\n{}",
])("%j is no object", (text) => {
  expect(parse(text)).toBeUndefined();
});

test("takes 64 levels and not one more, of brackets outside of strings", () => {
  expect(parse(`{"a":${nested(63, "[", "]")}}`)).toBeDefined();
  expect(parse(`{"a":${nested(64, "[", "]")}}`)).toBeUndefined();
  expect(parse(`${'{"a":'.repeat(64)}1${"}".repeat(64)}`)).toBeDefined();
  expect(parse(`${'{"a":'.repeat(65)}1${"}".repeat(65)}`)).toBeUndefined();
  const brackets = "[{".repeat(1000);
  expect(parse(JSON.stringify({ [brackets]: String.raw`\"${brackets}\\`, b: [[]] }))).toBeDefined();
});

test("megabytes of brackets end at once, without the stack", () => {
  const started = performance.now();
  for (const bytes of [Buffer.alloc(4_000_000, "["), Buffer.alloc(4_000_000, '{"a":'), Buffer.alloc(4_000_000, "]")]) {
    expect(parseJsonObject(bytes)).toBeUndefined();
  }
  expect(performance.now() - started).toBeLessThan(500);
});

test("__proto__ and constructor are names like any other", () => {
  const value = parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"a":1}');
  expect(Object.keys(value ?? {})).toEqual(["__proto__", "constructor", "a"]);
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  expect("polluted" in {}).toBe(false);
  expect(value?.["polluted"]).toBeUndefined();
});

test.each(["ff", "c0af", "eda080", "f4908080", "e282", "80"])("bytes that are no UTF-8 are refused (%s)", (hex) => {
  const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(hex, "hex"), Buffer.from('"}')]);
  expect(parseJsonObject(bytes)).toBeUndefined();
});

test("a lone surrogate is refused, in a value, a name, a list and deeper; a pair is a character", () => {
  for (const half of [String.raw`\ud800`, String.raw`\uDFFF`, String.raw`\udC00\ud800`, String.raw`x\ud83dx`]) {
    expect(parse(`{"a":"${half}"}`)).toBeUndefined();
    expect(parse(`{"${half}":1}`)).toBeUndefined();
    expect(parse(`{"a":[{"b":["${half}"]}]}`)).toBeUndefined();
  }
  expect(parse(String.raw`{"a":"\ud83d\ude00"}`)).toEqual({ a: "😀" });
  expect(parse(String.raw`{"a":"\\ud800"}`)).toEqual({ a: String.raw`\ud800` });
});
