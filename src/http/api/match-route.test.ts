import { expect, test } from "bun:test";
import { contract } from "../../access/api/contract.ts";
import { route, type Route } from "../../access/api/route.ts";
import { locationOf, routeMatcher } from "./match-route.ts";

const to = (method: "GET" | "PUT", path: `/${string}`): Route =>
  route(
    contract({ id: `${method} ${path}`, method, path, group: "", summary: "", need: "nothing" }),
    async () => undefined,
  );

const match = routeMatcher("/api/v1", [
  to("GET", "/accounts"),
  to("GET", "/accounts/{account}"),
  to("PUT", "/accounts/{account}"),
  to("GET", "/repositories/{repository}"),
  to("GET", "/repositories/{repository}/tags"),
  to("GET", "/repositories/{repository}/tags/{tag}"),
]);

test.each([
  ["/api/v1/accounts", "/accounts", {}],
  ["/api/v1/accounts/bob", "/accounts/{account}", { account: "bob" }],
  ["/api/v1/accounts/b%40c", "/accounts/{account}", { account: "b@c" }],
  // One segment stays one, whatever it decodes to.
  ["/api/v1/accounts/b%2Fc", "/accounts/{account}", { account: "b/c" }],
  ["/api/v1/repositories/a", "/repositories/{repository}", { repository: "a" }],
  ["/api/v1/repositories/a/b/c", "/repositories/{repository}", { repository: "a/b/c" }],
  ["/api/v1/repositories/a%2Fb", "/repositories/{repository}", { repository: "a/b" }],
  ["/api/v1/repositories/a/b/tags", "/repositories/{repository}/tags", { repository: "a/b" }],
  ["/api/v1/repositories/a/tags/v1", "/repositories/{repository}/tags/{tag}", { repository: "a", tag: "v1" }],
  ["/api/v1/repositories/a%2Ftags%2Fv1", "/repositories/{repository}", { repository: "a/tags/v1" }],
  ["/api/v1/repositories/tags", "/repositories/{repository}", { repository: "tags" }],
])("%s is %s", (path, template, given) => {
  const found = match(path);
  expect(found).toMatchObject({ template: `/api/v1${template}`, given });
});

test.each([
  "/api/v1",
  "/api/v1/accounts/",
  "/api/v1/accounts/bob/",
  "/api/v1//accounts",
  "/api/v1/%61ccounts",
  "/api/v1/Accounts",
  "/api/v1/accounts;x",
  "/api/v1/accounts%2fbob",
  "/api/v1/accounts/%ff",
  "/api/v1/accounts/bob/else",
  "/api/v1/repositories/",
])("%s is nothing", (path) => {
  expect(match(path)).toBeUndefined();
});

test("a path has all of its methods", () => {
  expect(Object.keys(match("/api/v1/accounts/bob")?.byMethod ?? {})).toEqual(["GET", "PUT"]);
});

test("where something was made is its contract's path with its members, encoded", () => {
  const made = contract({
    id: "",
    method: "POST",
    path: "/x",
    group: "",
    summary: "",
    need: "nothing",
    creates: "/x/{name}",
  });
  expect(locationOf("/api/v1", made, { name: "a/b c" })).toBe("/api/v1/x/a%2Fb%20c");
  expect(locationOf("/api/v1", made, undefined)).toBeUndefined();
});
