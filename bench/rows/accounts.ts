import { ordinaryImage, putImage, repository } from "../clients/fill.ts";
import { addPuller, pullerBasic, privateRepository, seedCrowd } from "../clients/seed-rights.ts";
import type { Bench, Contestant, Row } from "../measure/row.ts";
import { missingWrk } from "../measure/wrk.ts";
import { berth } from "../servers/berth.ts";
import type { Started } from "../servers/server.ts";
import { byWrk } from "./get-by-wrk.ts";

const tag = "latest";
const connections = 32;
const scope = `repository:${privateRepository}:pull`;
const tokenPath = `/token?service=berth&scope=${encodeURIComponent(scope)}`;

/** Those whom an empty database does not have. */
const crowdOf = ({ quick }: Bench) =>
  quick ? { accounts: 200, teams: 20, grants: 2000 } : { accounts: 10_000, teams: 1000, grants: 100_000 };

interface Way {
  readonly name: string;
  readonly path: string;
  readonly authorization?: (server: Started) => Promise<string> | string;
}

async function bearerOfPuller({ host }: Started): Promise<string> {
  const answer = await fetch(`http://${host}${tokenPath}`, { headers: { authorization: pullerBasic } });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of Berth's own token service
  const { token } = (await answer.json()) as { readonly token: string };
  return `Bearer ${token}`;
}

const ofPrivate = `/v2/${privateRepository}/manifests/${tag}`;
const ways: readonly Way[] = [
  { name: "anonymous", path: `/v2/${repository}/manifests/${tag}` },
  { name: "bearer", path: ofPrivate, authorization: bearerOfPuller },
  { name: "Basic", path: ofPrivate, authorization: () => pullerBasic },
];

const contestant = (name: string, { path, authorization }: Omit<Way, "name">, isCrowded: boolean): Contestant => ({
  name,
  missing: missingWrk(),
  async prepare(bench) {
    const data = bench.folder.make("rights");
    if (isCrowded) await seedCrowd(data, crowdOf(bench));
    const started = await berth.start({ bench, data });
    await putImage(started, tag, ordinaryImage());
    await addPuller(started, tag);
    const credentials = await authorization?.(started);
    return byWrk(started, bench, {
      path,
      connections,
      ...(credentials && { headers: { authorization: credentials } }),
    });
  },
});

const [empty, crowded] = ["an empty database", "10,000 accounts"];

export const manifestAmongAccounts: readonly Row[] = ways.map(({ name, ...way }) => ({
  name: `manifest-10000-accounts-${name.toLowerCase()}`,
  title: `manifest GET, ${name}, among 10,000 accounts, 1,000 teams and 100,000 grants`,
  contestants: [contestant(empty, way, false), contestant(crowded, way, true)],
  targets: [{ figure: "perSecond", of: crowded, times: empty, atLeast: 0.9 }],
}));

export const tokens: Row = {
  name: "tokens",
  title: "bearer tokens for a pull, 32 connections, among 10,000 accounts",
  contestants: [contestant("berth", { path: tokenPath, authorization: () => pullerBasic }, true)],
  targets: [{ figure: "perSecond", of: "berth", atLeast: 3000 }],
};
