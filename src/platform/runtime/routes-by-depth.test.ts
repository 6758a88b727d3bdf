import { expect, it } from "bun:test";
import { hasLostSegments, routesByDepth } from "./routes-by-depth.ts";

const pathOf = (segments: number): string => "/a".repeat(segments);

it("has a route for every path of names that anybody has, with and without a slash at its end", () => {
  const routes = routesByDepth((segments) => segments);
  expect(routes["/"]).toBe(1);
  expect(Object.entries(routes).filter(([route, segments]) => route.split("/").length - 1 !== segments)).toEqual([]);
  expect(new Set(Object.values(routes)).size).toBe(101);
});

it("tells that segments were resolved away, or are empty", () => {
  expect(hasLostSegments(pathOf(4), 4)).toBe(false);
  expect(hasLostSegments(`${pathOf(4)}/`, 5)).toBe(false);
  expect(hasLostSegments(pathOf(2), 4)).toBe(true);
  // No route takes an empty one, and one that is too deep was not that before.
  expect(hasLostSegments("/v2//a", undefined)).toBe(true);
  expect(hasLostSegments(pathOf(100), undefined)).toBe(true);
});

it("takes a path that is deeper than all routes as it is", () => {
  expect(hasLostSegments(pathOf(101), undefined)).toBe(false);
});
