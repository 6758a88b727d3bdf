import { ociManifest } from "../../src/oci/media-type.ts";
import { digestOf, makeBody } from "../clients/body.ts";
import { ordinaryImage, repository } from "../clients/fill.ts";
import { pusherOf } from "../clients/push.ts";
import { seedTags } from "../clients/seed-berth.ts";
import type { Row } from "../measure/row.ts";
import { quantile } from "../measure/statistics.ts";
import { berth } from "../servers/berth.ts";

const deletes = 100;

export const deleteOfMany: Row = {
  name: "delete",
  title: "delete of a manifest in a repository of 100,000 tags",
  contestants: [
    {
      name: "berth",
      missing: undefined,
      async prepare(bench) {
        const data = bench.folder.make("seeded");
        await seedTags(data, ordinaryImage().manifest, bench.quick ? 2000 : 100_000);
        const started = await berth.start({ bench, data });
        const pusher = await pusherOf(started);
        const push = makeBody(1024).next();
        await pusher.streamed(repository, push);
        const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: push.digest, size: 1024 };
        const image = { schemaVersion: 2, mediaType: ociManifest, config, layers: [] };
        return async () => {
          const times: number[] = [];
          for (let index = 0; index < deletes; index++) {
            const bytes = Buffer.from(JSON.stringify({ ...image, annotations: { index: crypto.randomUUID() } }));
            await pusher.manifest(repository, `deleted-${String(index)}`, bytes);
            const began = performance.now();
            await pusher.remove(`/v2/${repository}/manifests/${digestOf(bytes)}`);
            times.push(performance.now() - began);
          }
          return { ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
        };
      },
    },
  ],
  targets: [{ figure: "ms", of: "berth", atMost: 20 }],
};
