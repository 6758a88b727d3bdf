import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { collect } from "../../src/registry/collect.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import {
  describeBytes,
  digestOf,
  indexBytes,
  jsonBytes,
  mediaTypes,
  pushIndex,
  startUpload,
} from "../protocol/content.ts";
import { type Answer, freshRepository, withQuery } from "../protocol/registry-client.ts";
import { describeEachDatabase } from "../support/databases.ts";
import { endLeases } from "../support/registry.ts";
import { useSharedRegistry } from "./served/shared-registry.ts";

const imageOf = (config: Buffer, layer: Buffer): Buffer =>
  jsonBytes({
    schemaVersion: 2,
    mediaType: mediaTypes.image,
    config: describeBytes(mediaTypes.config, config),
    layers: [describeBytes(mediaTypes.layer, layer)],
    annotations: { id: randomBytes(8).toString("hex") },
  });

/** Where registries have lost images, tags and uploads to each other's requests. */
describeEachDatabase("known races", (dialect) => {
  const shared = useSharedRegistry(dialect, 1);
  const send = (...call: Parameters<ReturnType<typeof shared>["client"]["send"]>): Promise<Answer> =>
    shared().client.send(...call);
  const pushWhole = (repository: string, bytes: Buffer): Promise<Answer> =>
    send("POST", `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`, { body: bytes });
  const putImage = (repository: string, reference: string, body: Buffer): Promise<Answer> =>
    send("PUT", `/v2/${repository}/manifests/${reference}`, { headers: { "Content-Type": mediaTypes.image }, body });
  const leasesEnd = (bytes: Buffer): Promise<void> => endLeases(shared().beside, parseDigest(digestOf(bytes)));

  test("fifty pushers, mounts, moving tags and a collector: what was answered 201 can be pulled whole", async () => {
    const namespace = freshRepository("storm");
    const layers = Array.from({ length: 8 }, () => randomBytes(500));
    const over = new AbortController();
    const collecting = (async () => {
      for (let at = 0; !over.signal.aborted; at += 1) {
        await leasesEnd(layers[at % layers.length] ?? Buffer.alloc(0));
        await collect(shared().beside);
      }
    })();
    const pushing = Promise.all(
      Array.from({ length: 50 }, (_, at) => pushUntilWhole(`${namespace}/r${String(at % 5)}`, at, layers)),
    ).finally(() => over.abort());
    const [pushed] = await Promise.all([pushing, collecting]);
    await endLeases(shared().beside);
    await collect(shared().beside);
    for (const { repository, digest, needs } of pushed) {
      const statuses = [(await send("GET", `/v2/${repository}/manifests/${digest}`)).status];
      for (const blob of needs) {
        const pulled = await send("GET", `/v2/${repository}/blobs/${blob}`);
        statuses.push(digestOf(pulled.bytes) === blob ? pulled.status : 0);
      }
      expect(statuses).toEqual([200, 200, 200]);
    }
  }, 300_000);

  /** As clients do: ask, mount or send what is not there, then the manifest; begin again where it is told to be missing. */
  async function pushUntilWhole(repository: string, at: number, layers: readonly Buffer[]) {
    const [config, layer] = [Buffer.from(`config ${String(at)}`), layers[at % layers.length] ?? Buffer.alloc(0)];
    const body = imageOf(config, layer);
    const elsewhere = repository.replace(/\d$/, (digit) => String((Number(digit) + 1) % 5));
    for (let tries = 0; tries < 1000; tries += 1) {
      for (const bytes of [config, layer]) {
        const digest = digestOf(bytes);
        if ((await send("HEAD", `/v2/${repository}/blobs/${digest}`)).status === 200) continue;
        const mount = `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${elsewhere}`;
        const mounted = await send("POST", mount, { body: "" });
        if (mounted.status === 201) continue;
        await send("DELETE", mounted.header("location") ?? "");
        expect((await pushWhole(repository, bytes)).status).toBe(201);
      }
      const put = await putImage(repository, `t${String(at % 3)}`, body);
      if (put.status === 201) return { repository, digest: digestOf(body), needs: [digestOf(config), digestOf(layer)] };
      expect([put.status, put.text]).toEqual([400, expect.stringContaining("MANIFEST_BLOB_UNKNOWN")]);
    }
    throw new Error("a pusher never got its image whole");
  }

  test("who hears from a HEAD that a blob is there can count on it, whatever is collected meanwhile", async () => {
    const repository = freshRepository();
    for (let round = 0; round < 8; round += 1) {
      const [config, layer] = [randomBytes(50), randomBytes(50)];
      await pushWhole(repository, config);
      await pushWhole(repository, layer);
      await leasesEnd(layer);
      const target = `/v2/${repository}/blobs/${digestOf(layer)}`;
      const [heads] = await Promise.all([
        Promise.all(Array.from({ length: 6 }, () => send("HEAD", target))),
        collect(shared().beside),
      ]);
      await collect(shared().beside);
      const isPromised = heads.some(({ status }) => status === 200);
      const put = await putImage(repository, "latest", imageOf(config, layer));
      expect(put.status).toBe(isPromised ? 201 : 400);
    }
  }, 120_000);

  test("an upload of content that is being deleted is whole when it is acknowledged last", async () => {
    const repository = freshRepository();
    const bytes = randomBytes(1000);
    const target = `/v2/${repository}/blobs/${digestOf(bytes)}`;
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        at % 5 === 4 ? collect(shared().beside) : at % 2 === 0 ? pushWhole(repository, bytes) : send("DELETE", target),
      ),
    );
    for (const answer of answers) if ("status" in answer) expect([201, 202, 404]).toContain(answer.status);
    expect((await pushWhole(repository, bytes)).status).toBe(201);
    await collect(shared().beside);
    const pulled = await send("GET", target);
    expect([pulled.status, pulled.bytes.equals(bytes)]).toEqual([200, true]);
  });

  test("an index and the delete of its child: each is as it was told", async () => {
    const repository = freshRepository();
    const child = await pushIndex(shared().client, repository);
    const parents = Array.from({ length: 25 }, (_, at) =>
      indexBytes([child.descriptor], { annotations: { at: String(at) } }),
    );
    const headers = { "Content-Type": mediaTypes.index };
    const [puts, deletes] = await Promise.all([
      Promise.all(
        parents.map((body) => send("PUT", `/v2/${repository}/manifests/${digestOf(body)}`, { headers, body })),
      ),
      Promise.all(parents.map(() => send("DELETE", `/v2/${repository}/manifests/${child.digest}`))),
    ]);
    expect(new Set(puts.map(({ status }) => status))).toEqual(new Set([201]));
    expect(deletes.filter(({ status }) => status === 202).length).toBe(1);
    expect((await send("GET", `/v2/${repository}/manifests/${child.digest}`)).status).toBe(404);
    for (const body of parents) {
      expect((await send("GET", `/v2/${repository}/manifests/${digestOf(body)}`)).status).toBe(200);
    }
  });

  test("an upload that began long ago and still moves is nobody's rubbish", async () => {
    const repository = freshRepository();
    const location = await startUpload(shared().client, repository);
    const id = location.split("/").at(-1) ?? "";
    const { beside } = shared();
    await beside.database.write((tx) =>
      tx.updateTable("uploads").set({ started_at: 1 }).where("id", "=", id).execute(),
    );
    const piece = randomBytes(100);
    for (let sent = 0; sent < 5; sent += 1) {
      await collect(beside);
      const body = await send("PATCH", location, {
        headers: { "Content-Type": "application/octet-stream" },
        body: piece,
      });
      expect(body.status).toBe(202);
    }
    const digest = digestOf(Buffer.concat(Array.from({ length: 5 }, () => piece)));
    expect((await send("PUT", withQuery(location, `digest=${digest}`), { body: "" })).status).toBe(201);
  });

  test("pages of tags that come and go hold each that stays, once", async () => {
    const repository = freshRepository();
    const { digest, bytes } = await pushIndex(shared().client, repository);
    const headers = { "Content-Type": mediaTypes.index };
    const stay = Array.from({ length: 20 }, (_, at) => `s${String(at).padStart(2, "0")}`);
    const query = stay.map((tag) => `tag=${tag}`).join("&");
    await send("PUT", `/v2/${repository}/manifests/${digest}?${query}`, { headers, body: bytes });
    const over = new AbortController();
    const changing = [0, 1, 2].map(async (client) => {
      for (let at = 0; !over.signal.aborted; at += 1) {
        const tag = `s${String(at % 20).padStart(2, "0")}-${String(client)}`;
        await send("PUT", `/v2/${repository}/manifests/${tag}`, { headers, body: bytes });
        await send("DELETE", `/v2/${repository}/manifests/${tag}`);
      }
    });
    const listing = (async () => {
      for (let round = 0; round < 5; round += 1) {
        const seen: string[] = [];
        let target: string | undefined = `/v2/${repository}/tags/list?n=3`;
        while (target !== undefined) {
          const page = await send("GET", target);
          seen.push(...(page.json() as { readonly tags: readonly string[] }).tags);
          target = /^<([^>]+)>/.exec(page.header("link") ?? "")?.[1];
        }
        expect(seen.filter((tag) => stay.includes(tag))).toEqual(stay);
      }
    })().finally(() => over.abort());
    await Promise.all([listing, ...changing]);
  }, 120_000);
});
