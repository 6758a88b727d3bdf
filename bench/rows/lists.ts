import { ordinaryImage, putAnswer, putTags, repository, tagOf } from "../clients/fill.ts";
import { seedReferrers, seedRepositories, seedTags } from "../clients/seed-berth.ts";
import type { Bench, Contestant, Row } from "../measure/row.ts";
import { missingWrk } from "../measure/wrk.ts";
import { adminBasic, berth } from "../servers/berth.ts";
import { distribution3, dockerRegistry } from "../servers/distribution.ts";
import { nginx } from "../servers/nginx.ts";
import type { Server } from "../servers/server.ts";
import { zot } from "../servers/zot.ts";
import { byWrk } from "./get-by-wrk.ts";

const page = 100;
const tagPage = (count: number): string =>
  `/v2/${repository}/tags/list?n=${String(page)}&last=${tagOf(Math.floor(count / 2))}`;

const fewTags = ({ quick }: Bench): number => (quick ? 200 : 2000);

const tagsOf = (server: Server): Contestant => ({
  name: server.name,
  missing: server.missing() ?? missingWrk(),
  async prepare(bench) {
    const started = await server.start({ bench });
    const count = fewTags(bench);
    await putTags(started, ordinaryImage(), count);
    return byWrk(started, bench, { path: tagPage(count), connections: 32 });
  },
});

interface Seeded {
  readonly name: string;
  readonly count: (bench: Bench) => number;
  /** Fills the folder of a registry that does not run yet. @returns the path of a page in the middle */
  readonly seed: (data: string, count: number) => Promise<string>;
  readonly authorization?: string;
}

/** One connection: how long a page takes, and not how many there are at once. */
const seeded = ({ name, count, seed, authorization }: Seeded): Contestant => ({
  name,
  missing: missingWrk(),
  async prepare(bench) {
    const data = bench.folder.make("seeded");
    const path = await seed(data, count(bench));
    const started = await berth.start({ bench, data });
    return byWrk(started, bench, { path, connections: 1, ...(authorization && { headers: { authorization } }) });
  },
});

/** The same number of bytes from a file: what the machine can do at the time. */
const pageOfNginx: Contestant = {
  name: "nginx",
  missing: nginx.missing() ?? missingWrk(),
  async prepare(bench) {
    const started = await nginx.start({ bench });
    const tags = Array.from({ length: page }, (_, index) => tagOf(index));
    const path = await putAnswer(started, "tags/page", JSON.stringify({ name: repository, tags }));
    return byWrk(started, bench, { path, connections: 1 });
  },
};

const manyOf =
  (full: number) =>
  ({ quick }: Bench): number =>
    quick ? full / 50 : full;

export const tagsFew: Row = {
  name: "tags-2000",
  title: "tags/list page of 100 from 2,000 tags, 32 connections",
  contestants: [berth, dockerRegistry, distribution3, zot].map(tagsOf),
  targets: [{ figure: "perSecond", of: "berth", times: "docker-registry", atLeast: 20 }],
};

export const tagsMany: Row = {
  name: "tags-100000",
  title: "tags/list page of 100 from 100,000 tags, one connection",
  contestants: [
    seeded({
      name: "berth",
      count: manyOf(100_000),
      async seed(data, count) {
        await seedTags(data, ordinaryImage().manifest, count);
        return tagPage(count);
      },
    }),
    pageOfNginx,
  ],
  targets: [{ figure: "p99Ms", of: "berth", atMost: 2 }],
};

export const catalog: Row = {
  name: "catalog",
  title: "catalog page of 100 in 100,000 repositories, one connection",
  contestants: [
    seeded({
      name: "berth",
      count: manyOf(100_000),
      async seed(data, count) {
        await seedRepositories(data, count);
        return `/v2/_catalog?n=${String(page)}&last=team-50/`;
      },
      authorization: adminBasic,
    }),
  ],
  targets: [{ figure: "p99Ms", of: "berth", atMost: 3 }],
};

export const referrers: Row = {
  name: "referrers",
  title: "referrers page of 100 of 10,000, one connection",
  contestants: [
    seeded({
      name: "berth",
      count: manyOf(10_000),
      seed: async (data, count) => `/v2/${repository}/referrers/${await seedReferrers(data, count)}?n=${String(page)}`,
    }),
  ],
  targets: [{ figure: "p99Ms", of: "berth", atMost: 3 }],
};

const [inFew, inMany, inAll] = ["berth, 10 tags", "berth, 100,000 tags", "berth, each time another of 100,000"];

interface InTags {
  readonly name: string;
  readonly count: Seeded["count"];
  readonly isOfAll?: boolean;
}

const inTags = ({ name, count, isOfAll = false }: InTags): Contestant => ({
  name,
  missing: missingWrk(),
  async prepare(bench) {
    const data = bench.folder.make("seeded");
    await seedTags(data, ordinaryImage().manifest, count(bench));
    const started = await berth.start({ bench, data });
    const path = `/v2/${repository}/manifests/${tagOf(count(bench) / 2)}`;
    const tags = { prefix: `/v2/${repository}/manifests/tag-`, count: count(bench) };
    return byWrk(started, bench, { path, connections: 32, ...(isOfAll && { tags }) });
  },
});

export const manifestOfMany: Row = {
  name: "manifest-100000",
  title: "manifest GET in a repository of 100,000 tags, 32 connections",
  notes: "Nobody aimed at the last line: no client asks for another tag each time.",
  contestants: [
    inTags({ name: inFew, count: () => 10 }),
    inTags({ name: inMany, count: manyOf(100_000) }),
    inTags({ name: inAll, count: manyOf(100_000), isOfAll: true }),
  ],
  targets: [{ figure: "perSecond", of: inMany, times: inFew, atLeast: 0.9 }],
};
