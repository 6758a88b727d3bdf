import { expect, test } from "bun:test";
import { requestIds } from "./request-ids.ts";

test("no id is given twice, by one process or by two", () => {
  const [one, other] = [requestIds(), requestIds()];
  const ids = Array.from({ length: 2000 }, (_, at) => (at % 2 === 0 ? one() : other()));
  expect(new Set(ids).size).toBe(2000);
});

test("ids go on where their length is used up", () => {
  const next = requestIds(36 ** 6 - 1);
  expect([next(), next()].map((id) => id.slice(25))).toEqual(["zzzzzz", "1000000"]);
});

test("an id stands in a header and a line of a log as it is", () => {
  expect(requestIds()()).toMatch(/^[0-9a-f]{24}-[0-9a-z]{6}$/);
});
