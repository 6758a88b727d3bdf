import { expect, test } from "bun:test";
import { useRegistry } from "./registry-client.ts";

const registry = useRegistry();

test("GET /v2/ with valid credentials answers 200, the JSON body {} and the API version", async () => {
  const answer = await registry.send("GET", "/v2/");
  expect(answer.status).toBe(200);
  expect(answer.header("content-type")).toStartWith("application/json");
  expect(answer.json()).toEqual({});
  expect(answer.header("docker-distribution-api-version")).toBe("registry/2.0");
});

test("GET /v2 without a slash answers as /v2/ or redirects there", async () => {
  const answer = await registry.send("GET", "/v2");
  expect([200, 301, 302, 307, 308]).toContain(answer.status);
  if (answer.status >= 300) expect(answer.header("location")).toBe("/v2/");
});

test("GET /v2 without a slash and without credentials is 401 or a redirect, never 404", async () => {
  const answer = await registry.as(undefined).send("GET", "/v2");
  expect([401, 301, 302, 307, 308]).toContain(answer.status);
});

test("the reserved extension namespace answers the discovery of extensions", async () => {
  const answer = await registry.send("GET", "/v2/_oci/ext/discover");
  expect(answer.status).toBe(200);
  expect(answer.json()).toEqual({ extensions: expect.any(Array) as unknown[] });
});

test("the API version is on refusals too", async () => {
  const missing = await registry.send("GET", "/v2/acme/nothing/tags/list");
  const unauthorized = await registry.as(undefined).send("GET", "/v2/");
  expect([missing.status, unauthorized.status]).toEqual([404, 401]);
  expect(missing.header("docker-distribution-api-version")).toBe("registry/2.0");
  expect(unauthorized.header("docker-distribution-api-version")).toBe("registry/2.0");
});
