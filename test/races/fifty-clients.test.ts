import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { chunksOf } from "../../src/platform/blobs/blob-body.ts";
import { storedKey } from "../../src/registry/blobs.ts";
import { digestOf, indexBytes, mediaTypes, pushBlob, pushIndex, randomText, startUpload } from "../protocol/content.ts";
import { type Answer, freshRepository, withQuery } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { useSharedRegistry } from "./served/shared-registry.ts";

const clients = 50;
const all = <T>(make: (at: number) => Promise<T>): Promise<readonly T[]> =>
  Promise.all(Array.from({ length: clients }, (_, at) => make(at)));

/** How many were answered what: `{ 201: 1, 412: 49 }`. */
function countStatuses(answers: readonly Answer[]): Readonly<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

const others = clients - 1;
const octets = { "Content-Type": "application/octet-stream" };
const index = { "Content-Type": mediaTypes.index };
const anIndex = (): Buffer => indexBytes([], { annotations: { id: randomText() } });

describeEachDatabase("fifty clients at once", (dialect) => {
  const shared = useSharedRegistry(dialect, 1);
  const send = (...call: Parameters<ReturnType<typeof shared>["client"]["send"]>): Promise<Answer> =>
    shared().client.send(...call);
  const putTag = (
    repository: string,
    { body, headers = {} }: { readonly body: Buffer; readonly headers?: Readonly<Record<string, string>> },
  ): Promise<Answer> => send("PUT", `/v2/${repository}/manifests/latest`, { headers: { ...index, ...headers }, body });

  test("PATCHes of one session at one offset: one 202, the others 416, and its bytes alone are kept", async () => {
    const repository = freshRepository();
    const location = await startUpload(shared().client, repository);
    const bodies = Array.from({ length: clients }, () => randomBytes(20_000));
    const answers = await all((at) =>
      send("PATCH", location, { headers: { ...octets, "Content-Range": "0-19999" }, body: bodies[at] }),
    );
    expect(countStatuses(answers)).toEqual({ 202: 1, 416: others });
    const winner = bodies[answers.findIndex(({ status }) => status === 202)] ?? Buffer.alloc(0);
    const position = await send("GET", location);
    expect(position.header("range")).toBe("0-19999");
    const finish = await send("PUT", withQuery(location, `digest=${digestOf(winner)}`), { body: "" });
    expect(finish.status).toBe(201);
    const pulled = await send("GET", `/v2/${repository}/blobs/${digestOf(winner)}`);
    expect(pulled.bytes.equals(winner)).toBe(true);
  });

  test("finishes of one upload: one 201, the others 404 or 416, and the blob is whole", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(100_000);
    const location = await startUpload(shared().client, repository);
    expect((await send("PATCH", location, { headers: octets, body: bytes })).status).toBe(202);
    const target = withQuery(location, `digest=${digestOf(bytes)}`);
    const counts = countStatuses(await all(() => send("PUT", target, { body: "" })));
    expect(counts[201]).toBe(1);
    expect((counts[404] ?? 0) + (counts[416] ?? 0)).toBe(others);
    const pulled = await send("GET", `/v2/${repository}/blobs/${digestOf(bytes)}`);
    expect(pulled.bytes.equals(bytes)).toBe(true);
  });

  test("PATCHes and PUTs of one session: one wins its bytes, nobody is told of a fault of the server's", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(30_000);
    const location = await startUpload(shared().client, repository);
    const target = withQuery(location, `digest=${digestOf(bytes)}`);
    const headers = { ...octets, "Content-Range": "0-29999" };
    const answers = await all((at) =>
      at % 2 === 0 ? send("PATCH", location, { headers, body: bytes }) : send("PUT", target, { headers, body: bytes }),
    );
    const counts = countStatuses(answers);
    expect((counts[201] ?? 0) + (counts[202] ?? 0)).toBe(1);
    expect((counts[404] ?? 0) + (counts[416] ?? 0)).toBe(others);
    if (counts[202] === 1) expect((await send("PUT", target, { body: "" })).status).toBe(201);
    const pulled = await send("GET", `/v2/${repository}/blobs/${digestOf(bytes)}`);
    expect(pulled.bytes.equals(bytes)).toBe(true);
  });

  test("pushes of one blob: all 201, one copy of its bytes that a row names, and it is whole", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(50_000);
    const digest = digestOf(bytes);
    const answers = await all((at) =>
      send("POST", `/v2/${at % 2 === 0 ? repository : freshRepository()}/blobs/uploads/?digest=${digest}`, {
        body: bytes,
      }),
    );
    expect(countStatuses(answers)).toEqual({ 201: clients });
    const { database, blobs } = shared().beside;
    const rows = await database.read.selectFrom("blobs").select("blob_key").where("digest", "=", digest).execute();
    expect(rows.length).toBe(1);
    const body = await blobs.open(storedKey(rows[0]?.blob_key ?? ""));
    const stored = body === undefined ? [] : await Array.fromAsync(chunksOf(body));
    expect(digestOf(Buffer.concat(stored))).toBe(digest);
  });

  test("moves of one tag: all 201, and whoever reads it meanwhile finds a manifest that was pushed", async () => {
    const repository = freshRepository();
    const first = anIndex();
    expect((await putTag(repository, { body: first })).status).toBe(201);
    const bodies = Array.from({ length: clients }, anIndex);
    const pushed = new Set([first, ...bodies].map((body) => digestOf(body)));
    const moved = new AbortController();
    const reads: Answer[] = [];
    const reading = [1, 2, 3, 4].map(async () => {
      while (!moved.signal.aborted) reads.push(await send("GET", `/v2/${repository}/manifests/latest`));
    });
    const moving = all((at) => putTag(repository, { body: bodies[at] ?? first })).finally(() => moved.abort());
    const [answers] = await Promise.all([moving, ...reading]);
    expect(countStatuses(answers)).toEqual({ 201: clients });
    expect(countStatuses(reads)).toEqual({ 200: reads.length });
    for (const { bytes } of reads) expect(pushed).toContain(digestOf(bytes));
  });

  test("moves of one tag with If-Match: one wins each round, and the tag is its", async () => {
    const repository = freshRepository();
    let current = digestOf(anIndex());
    for (let round = 0; round < 4; round += 1) {
      const bodies = Array.from({ length: clients }, anIndex);
      const condition: Record<string, string> = round === 0 ? { "If-None-Match": "*" } : { "If-Match": `"${current}"` };
      const answers = await all((at) => putTag(repository, { body: bodies[at] ?? anIndex(), headers: condition }));
      expect(countStatuses(answers)).toEqual({ 201: 1, 412: others });
      current = digestOf(bodies[answers.findIndex(({ status }) => status === 201)] ?? "");
      const read = await send("GET", `/v2/${repository}/manifests/latest`);
      expect(read.header("docker-content-digest")).toBe(current);
    }
  });

  test("deletes of one digest, blob or manifest, and of one tag: one 202, the others 404", async () => {
    const repository = freshRepository();
    const blob = await pushBlob(shared().client, repository, randomBytes(100));
    const { digest } = await pushIndex(shared().client, repository, { tag: "latest" });
    for (const target of [`blobs/${blob}`, "manifests/latest", `manifests/${digest}`]) {
      const answers = await all(() => send("DELETE", `/v2/${repository}/${target}`));
      expect(countStatuses(answers)).toEqual({ 202: 1, 404: others });
    }
  });

  test("pushes and deletes of one tag: each is as it was told, and the list says what a pull says", async () => {
    const repository = freshRepository();
    await pushIndex(shared().client, repository);
    const answers = await all((at) =>
      at % 2 === 0 ? putTag(repository, { body: anIndex() }) : send("DELETE", `/v2/${repository}/manifests/latest`),
    );
    for (const { status } of answers) expect([201, 202, 404]).toContain(status);
    const read = await send("GET", `/v2/${repository}/manifests/latest`);
    const list = await send("GET", `/v2/${repository}/tags/list`);
    expect(list.json()).toEqual({ name: repository, tags: read.status === 200 ? ["latest"] : [] });
  });

  test("attaching to one subject: every page holds all that were acknowledged before it was asked for", async () => {
    const repository = freshRepository();
    const subject = await pushIndex(shared().client, repository);
    const acknowledged = new Set<string>();
    const missed: string[] = [];
    await all(async (at) => {
      const body = indexBytes([], { annotations: { id: randomText() }, subject: subject.descriptor });
      const put = await send("PUT", `/v2/${repository}/manifests/${digestOf(body)}`, { headers: index, body });
      expect(put.status).toBe(201);
      acknowledged.add(digestOf(body));
      if (at % 3 !== 0) return;
      const before = [...acknowledged];
      const page = await send("GET", `/v2/${repository}/referrers/${subject.digest}`);
      const { manifests } = page.json() as { readonly manifests: readonly { readonly digest: string }[] };
      const listed = new Set(manifests.map(({ digest }) => digest));
      missed.push(...before.filter((digest) => !listed.has(digest)));
    });
    expect(missed).toEqual([]);
    expect(acknowledged.size).toBe(clients);
  });
});
