import { beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { describeBytes, digestOf, jsonBytes, mediaTypes, pushBlob, pushManifest } from "../protocol/content.ts";
import { registryOf } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { runSession } from "./recorded-session.ts";
import { judgeOrder, type Step, stepsOfBlobPush, stepsOfManifestPush, syncsOfAnswers } from "./trace/judge-order.ts";
import type { DiskEvent } from "./trace/parse-trace.ts";
import { missingStrace, startTraced } from "./trace/traced-server.ts";

const repository = "acme/traced";

interface Recorded {
  readonly events: readonly DiskEvent[];
  readonly bytes: Buffer;
}

/** One push of a blob, and one of a manifest that names it, each on a server of its own up to the 201. */
async function record(what: "blob" | "manifest"): Promise<Recorded> {
  await using traced = await startTraced();
  const registry = registryOf(traced.server);
  const blob = randomBytes(700_000);
  await pushBlob(registry, repository, blob);
  if (what === "blob") return { events: await traced.events(), bytes: blob };
  const config = describeBytes(mediaTypes.config, blob);
  const manifest = jsonBytes({ schemaVersion: 2, mediaType: mediaTypes.image, config, layers: [] });
  await pushManifest(registry, { repository, bytes: manifest, mediaType: mediaTypes.image, tag: "v1" });
  return { events: await traced.events(), bytes: manifest };
}

requirement("order of system calls", missingStrace(), () => {
  const pushes = [
    { what: "blob", stepsOf: stepsOfBlobPush, names: 7 },
    { what: "manifest", stepsOf: stepsOfManifestPush, names: 3 },
  ] as const;
  for (const { what, stepsOf, names } of pushes) {
    let recorded: Recorded = { events: [], bytes: Buffer.alloc(0) };
    beforeAll(async () => {
      recorded = await record(what);
    }, 60_000);
    const stepsIn = (events: readonly DiskEvent[]): readonly Step[] => stepsOf(events, recorded.bytes);

    test(`what a ${what} needs is durable, step by step, before its 201 leaves`, () => {
      const steps = stepsIn(recorded.events);
      expect(judgeOrder(steps)).toEqual([]);
      expect(steps).toHaveLength(names);
    });

    test(`a ${what} push without any one of the steps is found out`, () => {
      for (const step of stepsIn(recorded.events)) {
        const without = recorded.events.filter((event) => !standsFor(event, step));
        expect(`${step.name}: ${String(judgeOrder(stepsIn(without)).length > 0)}`).toBe(`${step.name}: true`);
      }
    });

    test(`a ${what} push with any one of the steps behind the 201 is found out`, () => {
      const end = Math.max(...recorded.events.map(({ ended }) => ended).filter(Number.isFinite)) + 1;
      for (const step of stepsIn(recorded.events).slice(0, -1)) {
        const late = [
          ...recorded.events.filter((event) => !standsFor(event, step)),
          ...step.events.map((event) => ({ ...event, began: end, ended: end })),
        ];
        expect(`${step.name}: ${String(judgeOrder(stepsIn(late)).length > 0)}`).toBe(`${step.name}: true`);
      }
    });
  }
});

const log = "log";
const wholeBlob = "file, folder, log";

/** What a request may make the disk wait for: the first of all, so that the start is not counted, and then each once. */
const expectedSyncs: Readonly<Record<string, string>> = {
  "POST blobs/uploads/": "",
  "PATCH blobs/uploads/ID": "file",
  // Bytes behind those of a PATCH are synced, and what an empty PUT ends is synced already.
  "PUT blobs/uploads/ID?digest with bytes": wholeBlob,
  "PUT blobs/uploads/ID?digest": "folder, log",
  "POST blobs/uploads/?digest": wholeBlob,
  "POST blobs/uploads/?mount": log,
  "PUT manifests/TAG": log,
  "DELETE blobs/DIGEST": log,
  "DELETE manifests/TAG": log,
  "DELETE manifests/DIGEST": log,
  "DELETE blobs/uploads/ID": "log, folder",
};

requirement("number of syncs", missingStrace(), () => {
  let events: readonly DiskEvent[] = [];
  let requests: readonly string[] = [];
  const recordSession = async (): Promise<void> => {
    await using traced = await startTraced();
    const registry = registryOf(traced.server);
    await registry.send("GET", "/v2/");
    requests = (await runSession(registry, repository)).map(({ request, bodyBytes }) => {
      const name = request.replace(/manifests\/v\d/, "manifests/TAG");
      return name.startsWith("PUT blobs") && bodyBytes > 0 ? `${name} with bytes` : name;
    });
    events = await traced.events();
  };
  beforeAll(async () => {
    // What runs in the background may have a commit of its own in between, but not each time.
    for (let tries = 0; tries < 5; tries++) {
      await recordSession();
      if (judgeSyncs(events).length === 0) return;
    }
  }, 240_000);
  /** What each request synced beside what it may. */
  const judgeSyncs = (some: readonly DiskEvent[]): readonly string[] => {
    const found = syncsOfAnswers(some).slice(1);
    return requests.flatMap((request, at) => {
      const expected = expectedSyncs[request] ?? "not expected at all";
      return found[at] === expected ? [] : [`${request}: ${found[at] ?? "no answer"} in place of ${expected}`];
    });
  };

  test("a blob costs one of its file, one of its folder, and a commit; everything else a commit alone", () => {
    expect(judgeSyncs(events)).toEqual([]);
    expect(new Set(requests)).toEqual(new Set(Object.keys(expectedSyncs)));
  });

  test("pushes at the same time share their commits", async () => {
    await using traced = await startTraced();
    const registry = registryOf(traced.server);
    const pushes = 40;
    const answers = await Promise.all(
      Array.from({ length: pushes }, () => {
        const body = randomBytes(500);
        return registry.send("POST", `/v2/${repository}/blobs/uploads/?digest=${digestOf(body)}`, { body });
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: pushes }, () => 201));
    const all = await traced.events();
    const began = all.find((event) => event.kind === "write" && event.path.includes("/uploads/"))?.began ?? 0;
    const logs = all.filter((event) => event.kind === "sync" && event.began > began && event.path.endsWith("-wal"));
    expect(logs.length).toBeLessThan(pushes);
  }, 60_000);

  test("one more, and one less, is found out", () => {
    const answered = events.find(({ kind }) => kind === "answer")?.ended ?? 0;
    const syncs = events.filter(({ kind, began }) => kind === "sync" && began > answered);
    expect(syncs.length).toBeGreaterThan(20);
    for (const sync of syncs) {
      expect(judgeSyncs(events.flatMap((event) => (event === sync ? [event, event] : [event])))).toHaveLength(1);
      expect(judgeSyncs(events.filter((event) => event !== sync))).toHaveLength(1);
    }
  });
});

/** The step's own events, and later ones that would do its work: another sync or write of the same file. */
const standsFor = (event: DiskEvent, { events }: Step): boolean =>
  events.some(
    (own) =>
      own === event ||
      (event.began > own.began &&
        (own.kind === "sync" || own.kind === "write") &&
        own.kind === event.kind &&
        own.path === event.path),
  );
