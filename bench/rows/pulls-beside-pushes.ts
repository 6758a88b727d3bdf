import { makeBody } from "../clients/body.ts";
import type { Pace } from "../clients/connection.ts";
import { ordinaryImage, putImage, repository } from "../clients/fill.ts";
import { type Latency, openLoop } from "../clients/open-loop.ts";
import { pusherOf } from "../clients/push.ts";
import { costOf } from "../measure/cost.ts";
import { missingStrace, straced } from "../measure/count-syncs.ts";
import { freeLargeFiles } from "../measure/folder.ts";
import type { Bench, Contestant, Row } from "../measure/row.ts";
import { berth } from "../servers/berth.ts";
import { dockerRegistry } from "../servers/distribution.ts";
import { nginx } from "../servers/nginx.ts";
import type { Server, Started } from "../servers/server.ts";
import { makeSmallImages, pushImages } from "./push-images.ts";

const tag = "latest";
const path = `/v2/${repository}/manifests/${tag}`;

/** Lets so many bytes a second go. */
export function paced(bytesPerSecond: number): Pace {
  const began = performance.now();
  return async (sent) => {
    const early = (sent / bytesPerSecond) * 1000 - (performance.now() - began);
    if (early > 1) await Bun.sleep(early);
  };
}

const pushBytesPerSecond = 200e6;

const whilePushed = (name: string, pushedTo: Server, pulledFrom: Server): Contestant => ({
  name,
  missing: pushedTo.missing() ?? pulledFrom.missing(),
  async prepare(bench) {
    const started = await pushedTo.start({ bench });
    const asked = pulledFrom === pushedTo ? started : await pulledFrom.start({ bench });
    await putImage(asked, tag, ordinaryImage());
    const seconds = bench.quick ? 2 : 30;
    const body = makeBody(pushBytesPerSecond * seconds);
    const gets = { path, perSecond: 2000, seconds };
    await openLoop(asked, { ...gets, seconds: 2 });
    return async () => {
      const layer = body.next();
      void layer.chunked;
      const { result, peakMegabytes } = await costOf(asked.processes, async () => {
        const pusher = await pusherOf(started);
        const pushing = pusher.streamed("library/pushed", layer, paced(pushBytesPerSecond));
        const [latency] = await Promise.all([openLoop(asked, gets), pushing]);
        pusher.close();
        return latency;
      });
      await freeLargeFiles(started.data);
      return { ...result, peakMegabytes };
    };
  },
});

export const besidePush: Row = {
  name: "open-loop",
  title: "open loop of 2,000 manifest GETs/s while a push paced to 200 MB/s runs for 30 s",
  notes:
    "A time counts from when the request was to be sent; up to 1 ms of it is the client's. The last line is what the " +
    "machine does beside such a push: nginx is asked while berth takes it.",
  contestants: [
    ...[berth, dockerRegistry].map((server) => whilePushed(server.name, server, server)),
    whilePushed("nginx, beside berth", berth, nginx),
  ],
  targets: [
    { figure: "p99Ms", of: "berth", atMost: 5 },
    { figure: "p99Ms", of: "berth", times: "docker-registry", atMost: 1 },
  ],
};

/** Pulls while 8 clients push small images without a pause. */
async function pullBesideImages(server: Started, bench: Bench): Promise<Latency> {
  const images = makeSmallImages(bench.quick ? 500 : 2000);
  const isOver = { now: false };
  const pushing = pushImages(server, images, () => isOver.now);
  const latency = await openLoop(server, { path, perSecond: 500, seconds: bench.seconds });
  isOver.now = true;
  await pushing;
  return latency;
}

const syncs = "fsync,fdatasync";
const delayed = `inject=${syncs}:delay_exit=5000`;

export const slowDisk: Row = {
  name: "slow-sync",
  title: "500 manifest GETs/s while 8 clients push small images, with and without 5 ms more for every sync",
  notes: "Both servers run under strace, which makes the syncs of one of them slower.",
  contestants: [berth, dockerRegistry].map((server) => ({
    name: server.name,
    missing: server.missing() ?? missingStrace(),
    async prepare(bench) {
      const start = async (...options: readonly string[]): Promise<Started> => {
        const started = await server.start({ bench, under: straced("-o", "/dev/null", ...options) });
        await putImage(started, tag, ordinaryImage());
        await pullBesideImages(started, { ...bench, seconds: 1 });
        return started;
      };
      const plain = await start("-e", `trace=${syncs}`);
      const slow = await start("-e", `trace=${syncs}`, "-e", delayed);
      return async () => {
        const before = await pullBesideImages(plain, bench);
        const after = await pullBesideImages(slow, bench);
        return { ...after, risenMs: after.p99Ms - before.p99Ms };
      };
    },
  })),
  targets: [{ figure: "risenMs", of: "berth", atMost: 2 }],
};
