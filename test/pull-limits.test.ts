import { describe, expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freshName, password, useApi } from "./api/checked-api.ts";
import { tokenReply } from "./protocol/bearer.ts";
import { pushImage, pushIndex } from "./protocol/content.ts";
import {
  type Answer,
  basic,
  expectProblem,
  problemsOf,
  type Registry,
  registryOf,
} from "./protocol/registry-client.ts";
import { describeEachDatabase } from "./support/databases.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/workers.ts";

const limits = {
  BERTH_HTTP_TRUSTED_PROXIES: "127.0.0.0/8",
  BERTH_PULL_LIMITS_ANONYMOUS: "4",
  BERTH_PULL_LIMITS_ACCOUNT: "6",
  BERTH_PULL_LIMITS_ROBOT: "2",
  BERTH_PULL_LIMITS_PLANS: '[{"name":"staff","members":["admin"]},{"name":"few","pulls":1,"members":["few"]}]',
};

interface Told {
  readonly items: readonly { readonly target: string }[];
}

let addresses = 0;
/** A client that nobody has heard of yet. */
const freshAddress = (): string => `198.51.100.${String(++addresses)}`;

const from = (address: string, more: Readonly<Record<string, string>> = {}) => ({
  headers: { "X-Forwarded-For": address, ...more },
});

const stands = (answer: Answer): readonly unknown[] => [
  answer.status,
  answer.header("ratelimit-limit"),
  answer.header("ratelimit-remaining"),
  answer.header("docker-ratelimit-source"),
];

const ofLimit = (limit: number, status: number, ...[remaining, source]: readonly [number, string]) => [
  status,
  `${limit};w=21600`,
  `${remaining};w=21600`,
  source,
];

describeEachDatabase("limits of pulls", (dialect) => {
  const api = useApi({ dialect, env: limits });
  const { registry } = api;
  const stranger = registry.as(undefined);

  /** Something that everyone may pull. */
  async function publicImage(): Promise<string> {
    const repository = `library/${freshName("app")}`;
    await pushImage(registry, repository, { tag: "v1" });
    return `/v2/${repository}/manifests/v1`;
  }

  it("count what is sent of a network that has not signed in, and no HEAD, 304, or manifest that is not there", async () => {
    const path = await publicImage();
    const address = freshAddress();
    const standing = (status: number, remaining: number) => ofLimit(4, status, remaining, address);
    const ask = (method = "GET", more = {}) => stranger.send(method, path, from(address, more));
    expect(stands(await ask("HEAD"))).toEqual(standing(200, 4));
    const first = await ask();
    expect(stands(first)).toEqual(standing(200, 3));
    const etag = first.header("etag") ?? "";
    for (let round = 0; round < 3; round++) {
      expect(stands(await ask("HEAD"))).toEqual(standing(200, 3));
      expect(stands(await ask("GET", { "If-None-Match": etag }))).toEqual(standing(304, 3));
      expect(stands(await stranger.send("GET", `${path}x`, from(address)))[0]).toBe(404);
    }
    for (const remaining of [2, 1, 0]) expect(stands(await ask())).toEqual(standing(200, remaining));
    const over = await ask();
    expect(stands(over)).toEqual(standing(429, 0));
    expectProblem(over, 429, "TOOMANYREQUESTS");
    expect(problemsOf(over)[0]?.message).toBe("you have reached the limit of 4 pulls in 6 hours; sign in to pull more");
    expect(Number(over.header("retry-after"))).toBeWithin(21_000, 21_601);
    // Whoever only looks is told so; whatever else they do is no pull.
    expect(stands(await ask("HEAD"))).toEqual(standing(200, 0));
    expect(stands(await ask("GET", { "If-None-Match": etag }))).toEqual(standing(304, 0));
    expect(stands(await stranger.send("GET", path, from(freshAddress())))[0]).toBe(200);
  });

  it("count an image of an index once, and an index for nothing but that it is refused too", async () => {
    const repository = `library/${freshName("multi")}`;
    const images = [await pushImage(registry, repository), await pushImage(registry, repository)];
    await pushIndex(registry, repository, { tag: "v1", manifests: images.map(({ descriptor }) => descriptor) });
    const address = freshAddress();
    const get = (reference: string) => stranger.send("GET", `/v2/${repository}/manifests/${reference}`, from(address));
    for (const remaining of [3, 2]) {
      expect(stands(await get("v1"))).toEqual(ofLimit(4, 200, remaining + 1, address));
      expect(stands(await get(images[0]?.digest ?? ""))).toEqual(ofLimit(4, 200, remaining, address));
    }
    for (const { digest } of images) expect((await get(digest)).status).toBe(200);
    expect(stands(await get("v1"))).toEqual(ofLimit(4, 429, 0, address));
  });

  it("count a network as one, however its addresses are written", async () => {
    const path = await publicImage();
    const network = "2001:db8:0:77::/64";
    const same = [
      "2001:db8:0:77::1",
      "2001:DB8::77:ffff:ffff:ffff:ffff",
      "[2001:db8:0:0077:1::]:4711",
      "2001:db8:0:77::1",
    ];
    for (const [index, address] of same.entries()) {
      expect(stands(await stranger.send("GET", path, from(address)))).toEqual(ofLimit(4, 200, 3 - index, network));
    }
    expect((await stranger.send("GET", path, from("2001:db8:0:77:1:2:3:4"))).status).toBe(429);
    expect((await stranger.send("GET", path, from("2001:db8:0:78::1"))).status).toBe(200);
  });

  it("take nobody's word for who they are but that of proxies", async () => {
    const path = await publicImage();
    const address = freshAddress();
    const made = (number: number) => from(`203.0.113.${String(number)}, ${address}`, { "X-Real-IP": "192.0.2.1" });
    for (let number = 0; number < 4; number++)
      expect((await stranger.send("GET", path, made(number))).status).toBe(200);
    expect(stands(await stranger.send("GET", path, made(9)))).toEqual(ofLimit(4, 429, 0, address));
  });

  it("count accounts wherever they are, whichever way they sign in, and each by its plan", async () => {
    const path = await publicImage();
    const name = freshName("puller");
    for (const one of [name, "few"]) await api.ask("POST", "/accounts", { json: { name: one, password } });
    const repository = path.split("/").slice(2, 4).join("/");
    const account = registry.as(basic(name, password));
    const scope = encodeURIComponent(`repository:${repository}:pull`);
    const bearer = registry.as(
      `Bearer ${tokenReply(await account.send("GET", `/token?service=berth&scope=${scope}`)).token}`,
    );
    const ways: readonly Registry[] = [account, bearer, account, bearer, bearer, account];
    for (const [index, way] of ways.entries()) {
      expect(stands(await way.send("GET", path, from(freshAddress())))).toEqual(ofLimit(6, 200, 5 - index, name));
    }
    for (const way of [account, bearer]) {
      const over = await way.send("GET", path, from(freshAddress()));
      expect(stands(over)).toEqual(ofLimit(6, 429, 0, name));
      expect(problemsOf(over)[0]?.message).toBe("you have reached the limit of 6 pulls in 6 hours");
    }
    const few = registry.as(basic("few", password));
    expect([(await few.send("GET", path)).status, (await few.send("GET", path)).status]).toEqual([200, 429]);
    for (let number = 0; number < 8; number++) {
      expect(stands(await registry.send("GET", path))).toEqual([200, undefined, undefined, undefined]);
    }
  });

  it("are told in the audit log and the metrics", async () => {
    const path = await publicImage();
    const address = freshAddress();
    for (let number = 0; number < 6; number++) await stranger.send("GET", path, from(address));
    let told: { readonly target: string } | undefined;
    await until("it is told", async () => {
      const page = (await api.ask("GET", "/audit?action=pull-limited")).json() as Told;
      told = page.items.find(({ target }) => target === address);
      return told !== undefined;
    });
    expect(told).toMatchObject({
      outcome: "refused",
      address,
      repository: path.split("/").slice(2, 4).join("/"),
      detail: { limit: 4, windowSeconds: 21_600 },
    });
    const metrics = (await stranger.send("GET", "/metrics")).text;
    expect(metrics).toMatch(/^berth_pull_limit_refused_total\{kind="anonymous"\} [1-9]/m);
    expect(metrics).toMatch(/^berth_pull_limit_sources [1-9]/m);
  });
});

describe("what was pulled", () => {
  it("is known after a restart", async () => {
    const data = await mkdtemp(join(tmpdir(), "berth-limits-"));
    try {
      const path = "/v2/library/app/manifests/v1";
      {
        await using server = await startServer({ data, env: limits });
        await pushImage(registryOf(server), "library/app", { tag: "v1" });
        const pulled = await registryOf(server).as(undefined).send("GET", path, from("192.0.2.9"));
        expect(stands(pulled)).toEqual(ofLimit(4, 200, 3, "192.0.2.9"));
        expect(await server.stop()).toBe(0);
      }
      await using server = await startServer({ data, env: limits });
      const pulled = await registryOf(server).as(undefined).send("GET", path, from("192.0.2.9"));
      expect(stands(pulled)).toEqual(ofLimit(4, 200, 2, "192.0.2.9"));
    } finally {
      await rm(data, { recursive: true, force: true });
    }
  }, 60_000);

  it("is at most a share of the limit more where two workers count", async () => {
    await using server = await startServer({
      env: { ...limits, BERTH_PULL_LIMITS_ANONYMOUS: "40", BERTH_HTTP_WORKERS: "2" },
    });
    await pushImage(registryOf(server), "library/app", { tag: "v1" });
    const stranger = registryOf(server).as(undefined);
    const statuses: number[] = [];
    for (let round = 0; round < 12; round++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => stranger.send("GET", "/v2/library/app/manifests/v1", from("192.0.2.9"))),
      );
      statuses.push(...answers.map(({ status }) => status));
    }
    const pulled = statuses.filter((status) => status === 200).length;
    expect(pulled).toBeWithin(40, 40 + 2 * 2);
    expect(statuses.filter((status) => status === 429)).toHaveLength(96 - pulled);
  }, 60_000);
});
