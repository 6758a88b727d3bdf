import { beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { describeBytes, jsonBytes, mediaTypes, pushBlob, pushManifest } from "../protocol/content.ts";
import { registryOf } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { judgeOrder, type Step, stepsOfBlobPush, stepsOfManifestPush } from "./trace/judge-order.ts";
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
