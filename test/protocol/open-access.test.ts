import { expect, test } from "bun:test";
import { digestOf, mediaTypes, pushBlob, pushImage, startUpload } from "./content.ts";
import { expectProblem, freshRepository, useRegistry } from "./registry-client.ts";

const served = useRegistry({ env: { BERTH_ACCESS_MODE: "open" } });
const anonymous = () => served.as(undefined);

test("GET /v2/ without credentials is 200 {}, so that clients never ask for any", async () => {
  const answer = await anonymous().send("GET", "/v2/");
  expect([answer.status, answer.text]).toEqual([200, "{}"]);
  expect(answer.header("docker-distribution-api-version")).toBe("registry/2.0");
  expect(answer.header("www-authenticate")).toBeUndefined();
});

test("everyone may push, pull, list, mount and delete", async () => {
  const [repository, other] = [freshRepository(), freshRepository("plain")];
  const image = await pushImage(anonymous(), repository, { tag: "v1" });
  const pulled = await anonymous().send("GET", `/v2/${repository}/manifests/v1`);
  expect([pulled.status, digestOf(pulled.bytes)]).toEqual([200, image.digest]);
  const blob = await anonymous().send("GET", `/v2/${repository}/blobs/${image.config.digest}`);
  expect(blob.status).toBe(200);
  const mount = `/v2/${other}/blobs/uploads/?mount=${image.config.digest}&from=${repository}`;
  expect((await anonymous().send("POST", mount, { body: "" })).status).toBe(201);
  const catalog = (await anonymous().send("GET", "/v2/_catalog?n=1000")).json() as { repositories: readonly string[] };
  expect(catalog.repositories).toContain(repository);
  const referrers = await anonymous().send("GET", `/v2/${repository}/referrers/${image.digest}`);
  expect([referrers.status, referrers.header("content-type")]).toEqual([200, mediaTypes.index]);
  expect((await anonymous().send("DELETE", `/v2/${repository}/manifests/v1`)).status).toBe(202);
  expect((await anonymous().send("DELETE", `/v2/${repository}/blobs/${image.config.digest}`)).status).toBe(202);
});

test("an upload that an anonymous caller began is finished by an anonymous caller", async () => {
  const repository = freshRepository();
  const location = await startUpload(anonymous(), repository);
  const answer = await anonymous().send("PUT", `${location}?digest=${digestOf("x")}`, { body: "x" });
  expect(answer.status).toBe(201);
});

test("an upload session is bound to who began it: for everyone else it is 404 BLOB_UPLOAD_UNKNOWN", async () => {
  const repository = freshRepository();
  const digest = digestOf("x");
  for (const [owner, other] of [
    [served, anonymous()],
    [anonymous(), served],
  ] as const) {
    const location = await startUpload(owner, repository);
    for (const [method, target] of [
      ["GET", location],
      ["PATCH", location],
      ["PUT", `${location}?digest=${digest}`],
      ["DELETE", location],
    ] as const) {
      const answer = await other.send(method, target, method === "GET" || method === "DELETE" ? {} : { body: "y" });
      expectProblem(answer, 404, "BLOB_UPLOAD_UNKNOWN");
    }
    expect((await owner.send("PUT", `${location}?digest=${digest}`, { body: "x" })).status).toBe(201);
  }
});

test("clients that sign in all the same are served", async () => {
  await pushBlob(served, freshRepository(), Buffer.from("x"));
  const token = await served.send("GET", "/token?service=berth&scope=repository:acme/app:pull");
  expect(token.status).toBe(200);
});

test("a warning at start says that everyone may push", () => {
  const warnings = served
    .server()
    .log()
    .filter((line) => line["level"] === "warn");
  expect(JSON.stringify(warnings)).toMatch(/everyone may push/);
});
