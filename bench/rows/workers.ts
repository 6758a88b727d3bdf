import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { ordinaryImage, putImage, repository } from "../clients/fill.ts";
import { costOf } from "../measure/cost.ts";
import { missingStrace, straced } from "../measure/count-syncs.ts";
import { lockWaits } from "../measure/lock-waits.ts";
import type { Contestant, Row } from "../measure/row.ts";
import { quantile } from "../measure/statistics.ts";
import { missingWrk, runWrk } from "../measure/wrk.ts";
import { berth } from "../servers/berth.ts";
import { makeSmallImages, pushImages } from "./push-images.ts";

const tag = "latest";
const [one, two, writing] = ["berth, one process", "berth, two workers", "berth, two workers, pushes"];

const withWorkers = (name: string, workers: number): Contestant => ({
  name,
  missing: missingWrk(),
  async prepare(bench) {
    const started = await berth.start({ bench, workers });
    await putImage(started, tag, ordinaryImage());
    const url = `http://${started.host}/v2/${repository}/manifests/${tag}`;
    const ask = (seconds: number) => costOf(started.processes, () => runWrk({ url, connections: 64, seconds }));
    await ask(1);
    return async () => {
      const { result, cpuSeconds, peakMegabytes } = await ask(bench.seconds);
      return {
        perSecond: result.requests / result.seconds,
        perCpuSecond: result.requests / cpuSeconds,
        p99Ms: result.p99Ms,
        peakMegabytes,
      };
    };
  },
});

/** 8 clients push small images, under a tracer that tells of every lock. */
const lockWait: Contestant = {
  name: writing,
  missing: missingStrace(),
  async prepare(bench) {
    const file = join(bench.folder.make("trace"), "locks");
    const started = await berth.start({ bench, workers: 2, under: straced("-ttt", "-e", "trace=fcntl", "-o", file) });
    await pushImages(started, makeSmallImages(40));
    return async () => {
      const { size } = await stat(file);
      await pushImages(started, makeSmallImages(bench.quick ? 40 : 200));
      return { lockP99Ms: quantile(lockWaits((await readFile(file, "latin1")).slice(size)), 0.99) };
    };
  },
};

export const twoWorkers: Row = {
  name: "workers",
  title: "two workers on two cores",
  contestants: [withWorkers(one, 1), withWorkers(two, 2), lockWait],
  targets: [
    { figure: "perCpuSecond", of: two, times: one, atLeast: 0.85 },
    { figure: "lockP99Ms", of: writing, atMost: 1 },
  ],
};
