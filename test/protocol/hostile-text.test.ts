import { expect, test } from "bun:test";
import { describeEachDatabase } from "../support/databases.ts";
import { pushIndex, startUpload } from "./content.ts";
import { freshRepository, useRegistry } from "./registry-client.ts";

const values = [
  "'%20OR%201=1;--",
  "%22",
  "%00",
  "a%00b",
  "%25",
  "_%25",
  "\\",
  "%ff",
  "%ed%a0%80",
  "%F0%9F%98%80",
  "%0d%0aX:%20y",
];

describeEachDatabase(
  "quotes, comments, NUL and broken UTF-8 are taken literally or refused, and tell nothing",
  (dialect) => {
    const registry = useRegistry({ dialect });

    for (const value of values) {
      test(`${value} in parameters and paths`, async () => {
        const repository = freshRepository();
        const image = await pushIndex(registry, repository, { tag: "v1" });
        const location = await startUpload(registry, repository);
        const requests: readonly (readonly [string, string])[] = [
          ["GET", `/v2/${repository}/tags/list?last=${value}`],
          ["GET", `/v2/${repository}/tags/list?n=${value}`],
          ["GET", `/v2/_catalog?last=${value}`],
          ["GET", `/v2/_catalog?n=${value}`],
          ["GET", `/v2/${repository}/referrers/${image.digest}?artifactType=${value}`],
          ["GET", `/v2/${repository}/referrers/${image.digest}?last=${value}`],
          ["GET", `/v2/${repository}/referrers/${value}`],
          ["GET", `/v2/${repository}/manifests/v1?ns=${value}`],
          ["GET", `/v2/${repository}/manifests/${value}`],
          ["DELETE", `/v2/${repository}/manifests/${value}`],
          ["GET", `/v2/${repository}/blobs/${value}`],
          ["GET", `/v2/${repository}${value}/tags/list`],
          ["GET", `/v2/${repository}/blobs/uploads/${value}`],
          ["PATCH", `/v2/${repository}/blobs/uploads/${value}`],
          ["PUT", `/v2/${repository}/blobs/uploads/${value}?digest=${image.digest}`],
          ["DELETE", `/v2/${repository}/blobs/uploads/${value}`],
          ["PUT", `${location}?digest=${value}`],
          ["POST", `/v2/${repository}/blobs/uploads/?mount=${image.digest}&from=${value}`],
          ["POST", `/v2/${repository}/blobs/uploads/?mount=${value}`],
          ["POST", `/v2/${repository}/blobs/uploads/?digest-algorithm=${value}`],
          ["PUT", `/v2/${repository}/manifests/${image.digest}?tag=${value}`],
          ["GET", `/token?service=berth&scope=${value}&account=${value}`],
          ["GET", `/token?service=berth&scope=repository:${value}:pull`],
        ];
        for (const [method, target] of requests) {
          const answer = await registry.send(
            method,
            target,
            method === "GET" || method === "DELETE" ? {} : { body: "" },
          );
          expect({ method, target, status: answer.status < 500 }).toEqual({ method, target, status: true });
          expect(answer.text).not.toMatch(/SQLITE|SyntaxError|invalid byte sequence|\bat .*\.ts/);
          expect(answer.header("x")).toBeUndefined();
        }
        expect((await registry.send("GET", `/v2/${repository}/manifests/v1`)).header("docker-content-digest")).toBe(
          image.digest,
        );
      });
    }

    test("names and passwords of all kinds are wrong ones", async () => {
      for (const value of values.map((text) =>
        Buffer.from(
          text.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
          "latin1",
        ),
      )) {
        for (const pair of [Buffer.concat([value, Buffer.from(":x")]), Buffer.concat([Buffer.from("admin:"), value])]) {
          const answer = await registry.as(`Basic ${pair.toString("base64")}`).send("GET", "/v2/");
          expect([400, 401, 429]).toContain(answer.status);
        }
      }
    });
  },
);
