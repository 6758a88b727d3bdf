import { expect, it } from "bun:test";
import { pushImage } from "../protocol/content.ts";
import { freshRepository } from "../protocol/registry-client.ts";
import { expectRefused, useApi } from "./checked-api.ts";

const api = useApi({ env: { BERTH_DELETE_ENABLED: "false" } });

it("where deletes are switched off, the API deletes nothing either", async () => {
  const repository = freshRepository("kept");
  const { digest } = await pushImage(api.registry, repository, { tag: "v1" });
  const at = `/repositories/${repository}`;
  expectRefused(await api.ask("DELETE", `${at}/tags/v1`), 405, "METHOD_UNSUPPORTED");
  expectRefused(await api.ask("DELETE", `${at}/manifests/${digest}`), 405, "METHOD_UNSUPPORTED");
  const many = { json: { tags: ["v1"], manifests: [digest] } };
  for (const query of ["", "?dryRun=true"]) {
    expectRefused(await api.ask("POST", `${at}/deletions${query}`, many), 405, "METHOD_UNSUPPORTED");
  }
  expect((await api.registry.send("GET", `/v2/${repository}/manifests/v1`)).status).toBe(200);
});
