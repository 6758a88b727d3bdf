import { makeBody } from "../clients/body.ts";
import { type Pusher, pusherOf } from "../clients/push.ts";
import { costOf } from "../measure/cost.ts";
import { countSyncs } from "../measure/count-syncs.ts";
import { freeLargeFiles } from "../measure/folder.ts";
import type { Bench, Contestant, Row, Sample } from "../measure/row.ts";
import { berth } from "../servers/berth.ts";
import { distribution3, dockerRegistry } from "../servers/distribution.ts";
import type { Server, Started } from "../servers/server.ts";
import { zot } from "../servers/zot.ts";
import { makeSmallImages, pushImages } from "./push-images.ts";

const mebibyte = 1 << 20;
const everyone = [berth, dockerRegistry, distribution3, zot];
const repository = "library/pushed";

interface Layers {
  readonly sizeBytes: (bench: Bench) => number;
  /** So many, one after the other, are one sample. */
  readonly count: (bench: Bench) => number;
  readonly way: "streamed" | "inOnePut";
}

const pushes =
  ({ sizeBytes, count, way }: Layers) =>
  (server: Server): Contestant => ({
    name: server.name,
    missing: server.missing(),
    async prepare(bench) {
      const body = makeBody(sizeBytes(bench));
      const syncsEach = await countSyncs(server, bench, async (traced) => {
        const pusher = await pusherOf(traced);
        await pusher[way](repository, makeBody(mebibyte).next());
        pusher.close();
        return 1;
      });
      const started = await server.start({ bench });
      // Some that nobody counts: what compiles as it runs has run.
      const first = makeBody(16 * mebibyte);
      await pushAll(started, Array.from({ length: bench.quick ? 2 : 8 }, first.next), way);
      return async () => {
        const layers = Array.from({ length: count(bench) }, () => body.next());
        // Framed before the clock starts.
        if (way === "streamed") void layers[0]?.chunked;
        const cost = await costOf(started.processes, () => pushAll(started, layers, way));
        await freeLargeFiles(started.data);
        const gigabytes = (layers.length * body.sizeBytes) / 1e9;
        return {
          megabytesPerSecond: (gigabytes * 1000) / cost.seconds,
          cpuSecondsPerGigabyte: cost.cpuSeconds / gigabytes,
          peakMegabytes: cost.peakMegabytes,
          ...(syncsEach !== undefined && { syncsEach }),
        };
      };
    },
  });

async function pushAll(
  server: Started,
  layers: readonly Parameters<Pusher["streamed"]>[1][],
  way: Layers["way"],
): Promise<void> {
  const pusher = await pusherOf(server);
  for (const layer of layers) await pusher[way](repository, layer);
  pusher.close();
}

const pushRow = (name: string, title: string, layers: Layers): Row => ({
  name,
  title,
  contestants: everyone.map(pushes(layers)),
  targets: [
    { figure: "megabytesPerSecond", of: "berth", times: "docker-registry", atLeast: 1.6 },
    { figure: "cpuSecondsPerGigabyte", of: "berth", times: "docker-registry", atMost: 0.55 },
  ],
});

const of32 = { sizeBytes: () => 32 * mebibyte, count: ({ quick }: Bench) => (quick ? 2 : 16) };
const ofGibibyte = { sizeBytes: ({ quick }: Bench) => (quick ? 64 : 1024) * mebibyte, count: () => 1 };

export const layerPushes: readonly Row[] = [
  pushRow("push-32mib", "push of 32 MiB as docker does: streamed PATCH, then PUT", { ...of32, way: "streamed" }),
  pushRow("push-32mib-put", "push of 32 MiB in one PUT", { ...of32, way: "inOnePut" }),
  pushRow("push-1gib", "push of 1 GiB as docker does: streamed PATCH, then PUT", { ...ofGibibyte, way: "streamed" }),
  pushRow("push-1gib-put", "push of 1 GiB in one PUT", { ...ofGibibyte, way: "inOnePut" }),
];

export const smallImages: Row = {
  name: "small-images",
  title: "8 clients pushing small images: a config and two layers of 16 KiB",
  contestants: everyone.map((server) => ({
    name: server.name,
    missing: server.missing(),
    async prepare(bench) {
      const syncsEach = await countSyncs(server, bench, async (traced) => {
        const images = makeSmallImages(40);
        await pushImages(traced, images);
        return images.length;
      });
      const started = await server.start({ bench });
      const count = bench.quick ? 40 : 200;
      await pushImages(started, makeSmallImages(bench.quick ? 40 : 200));
      return async (): Promise<Sample> => {
        const images = makeSmallImages(count);
        const { seconds, cpuSeconds, peakMegabytes } = await costOf(started.processes, () =>
          pushImages(started, images),
        );
        return {
          perSecond: count / seconds,
          cpuMicroseconds: (cpuSeconds / count) * 1e6,
          peakMegabytes,
          ...(syncsEach !== undefined && { syncsEach }),
        };
      };
    },
  })),
  targets: [{ figure: "perSecond", of: "berth", times: "docker-registry", atLeast: 5 }],
};
