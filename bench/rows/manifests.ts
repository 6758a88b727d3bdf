import { ordinaryImage, putImage, repository } from "../clients/fill.ts";
import type { Contestant, Row } from "../measure/row.ts";
import { missingWrk } from "../measure/wrk.ts";
import { adminBasic, berth } from "../servers/berth.ts";
import { distribution3, dockerRegistry } from "../servers/distribution.ts";
import { nginx } from "../servers/nginx.ts";
import type { Server, Started } from "../servers/server.ts";
import { zot } from "../servers/zot.ts";
import { byWrk } from "./get-by-wrk.ts";

const tag = "latest";
const connections = 32;
const path = `/v2/${repository}/manifests/${tag}`;

interface Way {
  readonly name: string;
  /** What the client sends, once the server runs. */
  readonly authorization?: (server: Started) => Promise<string> | string;
}

const contestant = (server: Server, { name, authorization }: Way = { name: server.name }): Contestant => ({
  name,
  missing: server.missing() ?? missingWrk(),
  async prepare(bench) {
    const started = await server.start({ bench });
    await putImage(started, tag, ordinaryImage());
    const credentials = await authorization?.(started);
    const headers = credentials === undefined ? {} : { authorization: credentials };
    return byWrk(started, bench, { path, headers, connections });
  },
});

/** As a client gets it after the challenge. */
async function bearerFrom({ host }: Started): Promise<string> {
  const query = `service=berth&scope=${encodeURIComponent(`repository:${repository}:pull`)}`;
  const answer = await fetch(`http://${host}/token?${query}`, { headers: { authorization: adminBasic } });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of Berth's own token service
  const { token } = (await answer.json()) as { readonly token: string };
  return `Bearer ${token}`;
}

export const manifest: Row = {
  name: "manifest",
  title: "manifest GET by tag, anonymous, 32 connections",
  contestants: [berth, dockerRegistry, nginx, distribution3, zot].map((server) => contestant(server)),
  targets: [
    { figure: "perSecond", of: "berth", times: "docker-registry", atLeast: 25 },
    { figure: "perSecond", of: "berth", times: "nginx", atLeast: 0.8 },
  ],
};

export const bearer: Row = {
  name: "bearer",
  title: "the same with a bearer token",
  contestants: [contestant(berth, { name: "berth", authorization: bearerFrom }), contestant(nginx)],
  targets: [{ figure: "perSecond", of: "berth", times: "nginx", atLeast: 0.6 }],
};

const anonymous = "berth, anonymous";

export const basic: Row = {
  name: "basic",
  title: "Basic credentials on every request",
  contestants: [
    contestant(berth, { name: "berth, Basic", authorization: () => adminBasic }),
    contestant(berth, { name: anonymous }),
  ],
  targets: [{ figure: "perSecond", of: "berth, Basic", times: anonymous, atLeast: 0.8 }],
};
