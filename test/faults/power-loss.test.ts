import { beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { registryOf } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { type Between, judgeRepository, nothingYet } from "./expected-state.ts";
import { runSession, type Told } from "./recorded-session.ts";
import { emptyDisk, type Survives } from "./trace/disk-model.ts";
import type { DiskEvent } from "./trace/parse-trace.ts";
import { missingStrace, startTraced } from "./trace/traced-server.ts";

const repository = "acme/lost";

interface Recording {
  readonly folder: string;
  readonly events: readonly DiskEvent[];
  readonly told: readonly Told[];
}

async function record(): Promise<Recording> {
  await using traced = await startTraced();
  const told = await runSession(registryOf(traced.server), repository);
  return { folder: traced.folder, events: await traced.events(), told };
}

/** A moment at which the power goes: behind so many events, when so many answers may have left. */
interface Cut {
  readonly events: number;
  readonly answers: number;
}

/** Where a power loss finds something else than at the cut before: the disk is different, or one more answer has left. */
function differentCuts({ folder, events }: Recording): readonly Cut[] {
  const disk = emptyDisk(folder);
  const cuts: Cut[] = [];
  let last = "";
  for (const [at, event] of events.entries()) {
    disk.play(event);
    const answers = events.filter((other) => other.kind === "answer" && other.began <= event.ended).length;
    const now = `${String(disk.version())} ${String(answers)}`;
    if (now !== last) cuts.push({ events: at + 1, answers });
    last = now;
  }
  return cuts;
}

function betweenAt({ told }: Recording, answers: number): Between {
  const before = told[answers - 1]?.after ?? nothingYet;
  return { before, after: told[answers]?.after ?? before };
}

/** Cuts the power, starts a server on what is left, and tells what is not as it was acknowledged. */
async function lose(recording: Recording, cut: Cut, survives: Survives): Promise<readonly string[]> {
  const disk = emptyDisk(recording.folder);
  for (const event of recording.events.slice(0, cut.events)) disk.play(event);
  const image = await mkdtemp(join(tmpdir(), "berth-power-"));
  try {
    await disk.writeImage(image, survives);
    await using server = await startServer({ data: join(image, "parent", "data") });
    return await judgeRepository(registryOf(server), repository, betweenAt(recording, cut.answers));
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    await rm(image, { recursive: true, force: true });
  }
}

/** What each cut lost, two servers at a time. */
async function loseAt(recording: Recording, cuts: readonly Cut[], survives: (at: number) => Survives) {
  const waiting = cuts.entries();
  const lost: string[] = [];
  const work = async (): Promise<void> => {
    for (const [at, cut] of waiting) {
      const problems = await lose(recording, cut, survives(at));
      if (problems.length > 0)
        lost.push(`behind event ${String(cut.events)}, seed ${String(at)}: ${problems.join("; ")}`);
    }
  };
  await Promise.all([work(), work()]);
  return lost;
}

/** So many of them, evenly. */
const pick = <T>(items: readonly T[], most: number): readonly T[] =>
  items.filter((_, at) => Math.floor((at * most) / items.length) !== Math.floor(((at - 1) * most) / items.length));

requirement("power loss", missingStrace(), () => {
  let recording: Recording = { folder: "", events: [], told: [] };
  /** Within the first start, and from there on. */
  let starting: readonly Cut[] = [];
  let running: readonly Cut[] = [];
  beforeAll(async () => {
    recording = await record();
    const cuts = differentCuts(recording);
    const firstRequest = cuts.findIndex(({ answers }) => answers > 0);
    starting = cuts.slice(0, firstRequest - 2);
    running = cuts.slice(firstRequest - 2);
  }, 60_000);

  test("the recording has an answer for every request, and a change on the disk for each", () => {
    const answers = recording.events.flatMap((event) => (event.kind === "answer" ? [event.status] : []));
    expect(answers).toEqual(recording.told.map(({ status }) => status));
    expect(running.length).toBeGreaterThan(2 * recording.told.length);
  });

  test("a first start that was cut off is followed by a good one", async () => {
    expect(await loseAt(recording, pick(starting, 6), () => "nothing")).toEqual([]);
  }, 240_000);

  test("what was acknowledged is there after a loss of all that was not synced, wherever it comes", async () => {
    expect(await loseAt(recording, running, () => "nothing")).toEqual([]);
  }, 240_000);

  test("and after one that keeps names without their bytes", async () => {
    expect(await loseAt(recording, pick(running, 16), () => "names")).toEqual([]);
  }, 240_000);

  test("and after one that keeps some writes and loses others", async () => {
    const from = running[0]?.events ?? 0;
    const anywhere = recording.events.slice(from).map(({ ended }, at): Cut => ({
      events: from + at + 1,
      answers: recording.events.filter((event) => event.kind === "answer" && event.began <= ended).length,
    }));
    expect(await loseAt(recording, pick(anywhere, 30), (seed) => ({ seed }))).toEqual([]);
  }, 240_000);

  for (const [what, isGone] of [
    ["files", (path: string) => path.includes("/uploads/")],
    ["folders", (path: string) => /\/blobs\/..$/.test(path)],
    ["the database's log", (path: string) => path.endsWith("-wal")],
  ] as const) {
    test(`a server that did not sync ${what} is found out`, async () => {
      const events = recording.events.filter((event) => event.kind !== "sync" || !isGone(event.path));
      const last = { events: events.length, answers: recording.told.length };
      expect(await lose({ ...recording, events }, last, "nothing")).not.toEqual([]);
    }, 60_000);
  }
});
