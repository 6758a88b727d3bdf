import { ordinaryImage, putImage, repository } from "../clients/fill.ts";
import { costOf } from "../measure/cost.ts";
import { areShared, missingForLockWaits, watchLocks } from "../measure/lock-waits.ts";
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

/** Who has all clients on one process measures no wait. */
const mostTries = 10;

/** 8 clients push small images, in rounds in which they came to both processes. */
const lockWait: Contestant = {
  name: writing,
  missing: missingForLockWaits(),
  async prepare(bench) {
    const locks = watchLocks(bench.folder.make("locks"));
    const started = await berth.start({ bench, workers: 2, under: locks.under });
    await pushImages(started, makeSmallImages(40));
    return async () => {
      for (let tries = 0; tries < mostTries; tries += 1) {
        locks.take();
        await pushImages(started, makeSmallImages(bench.quick ? 40 : 200));
        const holds = locks.take();
        if (!areShared(holds)) continue;
        const [waits, holdings] = [holds.map(({ waitedMs }) => waitedMs), holds.map(({ heldMs }) => heldMs)];
        return { lockP99Ms: quantile(waits, 0.99), lockHeldP99Ms: quantile(holdings, 0.99) };
      }
      throw new Error("all clients came to one process, again and again");
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
