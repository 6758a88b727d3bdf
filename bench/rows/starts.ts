import { seedBlobs } from "../clients/seed-berth.ts";
import type { Bench, Contestant, Row, Sample } from "../measure/row.ts";
import { berth } from "../servers/berth.ts";
import { dockerRegistry } from "../servers/distribution.ts";
import type { Server } from "../servers/server.ts";

/** Starts a server, which ends once it has answered. */
async function timeStart(server: Server, bench: Bench, data?: string): Promise<Sample> {
  await using used = bench.used.use(new AsyncDisposableStack());
  const started = await server.start({ bench: { ...bench, used }, ...(data !== undefined && { data }) });
  const peakMegabytes = started.processes.peakMegabytes();
  await started.stop();
  return { ms: started.startMs, peakMegabytes };
}

const [first, initialised, full] = ["berth, first ever", "berth, initialised", "berth, 1,000,000 blob rows"];

const startOn = (name: string, fill: (data: string, bench: Bench) => Promise<unknown>): Contestant => ({
  name,
  missing: undefined,
  async prepare(bench) {
    const data = bench.folder.make("seeded");
    await fill(data, bench);
    // The first start makes an account and keys.
    await timeStart(berth, bench, data);
    return () => timeStart(berth, bench, data);
  },
});

export const starts: Row = {
  name: "start",
  title: "start of dist/berth to the first answer: first ever, initialised, with 1,000,000 blob rows",
  contestants: [
    { name: first, missing: undefined, prepare: async (bench) => () => timeStart(berth, bench) },
    startOn(initialised, async () => undefined),
    startOn(full, (data, bench) => seedBlobs(data, bench.quick ? 10_000 : 1_000_000)),
    {
      name: dockerRegistry.name,
      missing: dockerRegistry.missing(),
      prepare: async (bench) => () => timeStart(dockerRegistry, bench),
    },
  ],
  targets: [
    { figure: "ms", of: first, atMost: 500 },
    { figure: "ms", of: initialised, atMost: 150 },
    { figure: "ms", of: full, atMost: 150 },
  ],
};
