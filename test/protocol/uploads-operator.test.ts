import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { startUpload } from "./content.ts";
import { expectProblem, freshRepository, useRegistry } from "./registry-client.ts";

const registry = useRegistry();

const berth = resolve(import.meta.dir, "../../bin/berth");

/** Runs the command line on the data folder of the running server. */
async function runUploads(...args: readonly string[]): Promise<{ readonly exitCode: number; readonly output: string }> {
  const child = Bun.spawn([berth, "uploads", ...args, "--data", registry.server().data], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const output = await new Response(child.stdout).text();
  return { exitCode: await child.exited, output };
}

interface ListedUpload {
  readonly id: string;
  readonly repository: string;
  readonly principal: string;
  readonly sizeBytes: number;
  readonly startedAt: string;
  readonly activeAt: string;
}

async function listed(repository: string): Promise<readonly ListedUpload[]> {
  const { exitCode, output } = await runUploads("list", "--json");
  expect(exitCode).toBe(0);
  const lines = output.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as ListedUpload).filter((upload) => upload.repository === repository);
}

test("the operator sees every session with its repository, owner, size and times", async () => {
  const repository = freshRepository();
  await startUpload(registry, repository);
  const location = await startUpload(registry, repository);
  const patch = await registry.send("PATCH", location, { body: "0123456789" });
  const uploads = await listed(repository);
  expect(uploads.map(({ sizeBytes }) => String(sizeBytes)).toSorted()).toEqual(["0", "10"]);
  const upload = uploads.find(({ sizeBytes }) => sizeBytes === 10);
  expect(patch.header("docker-upload-uuid")).toBe(upload?.id ?? "none");
  expect(upload?.principal).not.toBe("");
  for (const time of [upload?.startedAt, upload?.activeAt]) {
    expect(Math.abs(Date.parse(time ?? "") - Date.now())).toBeLessThan(60_000);
  }
});

test("a session that the operator cancels is 404 BLOB_UPLOAD_UNKNOWN for its client, and listed no more", async () => {
  const repository = freshRepository();
  const location = await startUpload(registry, repository);
  const [upload] = await listed(repository);
  expect((await runUploads("cancel", upload?.id ?? "none")).exitCode).toBe(0);
  expectProblem(await registry.send("GET", location), 404, "BLOB_UPLOAD_UNKNOWN");
  expectProblem(await registry.send("PATCH", location, { body: "x" }), 404, "BLOB_UPLOAD_UNKNOWN");
  expect(await listed(repository)).toEqual([]);
});

test("cancelling what is not there fails", async () => {
  expect((await runUploads("cancel", randomUUID())).exitCode).not.toBe(0);
});
