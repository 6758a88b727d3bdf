import { resolve } from "node:path";
import { ociManifest } from "../../src/oci/media-type.ts";
import { costOf } from "../measure/cost.ts";
import type { Bench, Sample } from "../measure/row.ts";
import { runWrk } from "../measure/wrk.ts";
import type { Started } from "../servers/server.ts";

interface Gets {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections: number;
  /** Each request is for another of so many tags, at random. */
  readonly tags?: { readonly prefix: string; readonly count: number };
}

const manyTags = resolve(import.meta.dir, "many-tags.lua");

/** Gets a path of a server over and over with wrk. Once before anyone counts: what compiles as it runs has run. */
export async function byWrk(server: Started, bench: Bench, gets: Gets): Promise<() => Promise<Sample>> {
  await getByWrk(server, { ...bench, seconds: bench.quick ? 1 : 3 }, gets);
  return () => getByWrk(server, bench, gets);
}

async function getByWrk(server: Started, { seconds }: Bench, gets: Gets): Promise<Sample> {
  const { path, connections, tags } = gets;
  const headers = { accept: ociManifest, ...gets.headers };
  const script = tags && { file: manyTags, args: [tags.prefix, String(tags.count)] };
  const { result, cpuSeconds, peakMegabytes } = await costOf(server.processes, () =>
    runWrk({ url: `http://${server.host}${path}`, headers, connections, seconds, ...(script && { script }) }),
  );
  return {
    perSecond: result.requests / result.seconds,
    cpuMicroseconds: (cpuSeconds / result.requests) * 1e6,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    peakMegabytes,
  };
}
