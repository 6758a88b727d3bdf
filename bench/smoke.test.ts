import { expect, it } from "bun:test";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { makeFolder } from "./measure/folder.ts";
import type { Bench } from "./measure/row.ts";
import { runRow } from "./measure/run-row.ts";
import { makeBody } from "./clients/body.ts";
import { putBlob } from "./clients/fill.ts";
import { pull } from "./clients/pull.ts";
import { makeSmallImages, pushImages } from "./rows/push-images.ts";
import { berthServer } from "./servers/berth.ts";
import { costOf } from "./measure/cost.ts";

const berth = berthServer(resolve(import.meta.dir, "../bin/berth"));
const sizeBytes = 100_000;

it("pushes images to Berth and gets a blob from it, and knows what that took", async () => {
  await using all = new AsyncDisposableStack();
  const folder = all.use(await makeFolder(tmpdir()));
  const contestant = {
    name: "berth",
    missing: undefined,
    async prepare(bench: Bench) {
      const started = await berth.start({ bench });
      const path = await putBlob(started, makeBody(sizeBytes).next());
      return async () => {
        const { cpuSeconds, peakMegabytes } = await costOf(started.processes, () =>
          pushImages(started, makeSmallImages(10)),
        );
        const pulled = await pull(started, { paths: [path], connections: 2, seconds: 0.2, bodyBytes: sizeBytes });
        return { ms: started.startMs, cpuMicroseconds: cpuSeconds * 1e6, ...pulled, peakMegabytes };
      };
    },
  };
  const { samples, failures, verdicts } = await runRow(
    {
      name: "smoke",
      title: "one of everything",
      contestants: [contestant],
      targets: [{ figure: "peakMegabytes", of: "berth", atLeast: 1 }],
    },
    { folder, quick: true, seconds: 1, rounds: 1, all },
  );
  expect(failures).toEqual([]);
  const [sample] = samples.get("berth") ?? [];
  for (const figure of ["ms", "cpuMicroseconds", "megabytesPerSecond", "peakMegabytes"] as const)
    expect(sample?.[figure]).toBeGreaterThan(0);
  expect(verdicts.map(({ outcome }) => outcome)).toEqual(["met"]);
}, 60_000);

it("fails where an answer is not what was asked for", async () => {
  await using all = new AsyncDisposableStack();
  const folder = all.use(await makeFolder(tmpdir()));
  const started = await berth.start({ bench: { folder, quick: true, seconds: 1, used: all } });
  const path = await putBlob(started, makeBody(sizeBytes).next());
  const gets = { connections: 1, seconds: 1, bodyBytes: sizeBytes };
  const [missing, short] = await Promise.allSettled([
    pull(started, { ...gets, paths: [path.replace(/.$/, (last) => (last === "0" ? "1" : "0"))] }),
    pull(started, { ...gets, paths: [path], bodyBytes: sizeBytes + 1 }),
  ]);
  expect(missing).toMatchObject({ status: "rejected", reason: { message: expect.stringContaining("404") as unknown } });
  expect(short).toMatchObject({ status: "rejected" });
}, 60_000);
