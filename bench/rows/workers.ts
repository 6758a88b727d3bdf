import { ordinaryImage, putImage, repository } from "../clients/fill.ts";
import { costOf } from "../measure/cost.ts";
import type { Contestant, Row } from "../measure/row.ts";
import { missingWrk, runWrk } from "../measure/wrk.ts";
import { berth } from "../servers/berth.ts";

const tag = "latest";
const [one, two] = ["berth, one process", "berth, two workers"];

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

export const twoWorkers: Row = {
  name: "workers",
  title: "two workers on two cores",
  contestants: [withWorkers(one, 1), withWorkers(two, 2)],
  targets: [{ figure: "perCpuSecond", of: two, times: one, atLeast: 0.85 }],
};
