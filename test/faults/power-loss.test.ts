import { beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pushBlob } from "../protocol/content.ts";
import { registryOf } from "../protocol/registry-client.ts";
import { requirement } from "../support/requirement.ts";
import { startServer } from "../support/server.ts";
import { runCheck } from "./run-check.ts";
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

/**
 * Where a power loss finds another disk than at the cut before. Of the moments with the same disk the last one says
 * most: no other allows less.
 */
function differentCuts({ folder, events }: Recording): readonly Cut[] {
  const disk = emptyDisk(folder);
  const cuts = new Map<number, Cut>();
  for (const [at, event] of events.entries()) {
    disk.play(event);
    const answers = events.filter((other) => other.kind === "answer" && other.began <= event.ended).length;
    cuts.set(disk.version(), { events: at + 1, answers });
  }
  return [...cuts.values()];
}

function betweenAt({ told }: Recording, answers: number): Between {
  const before = told[answers - 1]?.after ?? nothingYet;
  return { before, after: told[answers]?.after ?? before };
}

/** Cuts the power, starts a server on what is left, and tells what is not as it was acknowledged. */
async function lose(
  recording: Recording,
  cut: Cut,
  { survives, isChecked = false }: { readonly survives: Survives; readonly isChecked?: boolean },
): Promise<readonly string[]> {
  const disk = emptyDisk(recording.folder);
  for (const event of recording.events.slice(0, cut.events)) disk.play(event);
  const image = await mkdtemp(join(tmpdir(), "berth-power-"));
  try {
    await disk.writeImage(image, survives);
    await using server = await startServer({ data: join(image, "parent", "data") });
    const between = betweenAt(recording, cut.answers);
    const problems = await judgeRepository(registryOf(server), repository, { ...between, lost: "power" });
    return [...problems, ...(isChecked ? await missingIn(server.data) : [])];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    await rm(image, { recursive: true, force: true });
  }
}

/** What `berth check` finds, but for bytes that nobody needs: the server removes those in time. */
async function missingIn(data: string): Promise<readonly string[]> {
  const { findings } = await runCheck(data);
  return findings.filter(({ kind }) => kind !== "orphan-file").map((finding) => JSON.stringify(finding));
}

/** What each cut lost, two servers at a time. */
async function loseAt(recording: Recording, cuts: readonly Cut[], survives: (at: number) => Survives) {
  const waiting = cuts.entries();
  const lost: string[] = [];
  const work = async (): Promise<void> => {
    for (const [at, cut] of waiting) {
      const problems = await lose(recording, cut, { survives: survives(at), isChecked: at % 8 === 0 });
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
    expect(running.length).toBeGreaterThan(recording.told.length);
  });

  test("a first start that was cut off is followed by a good one", async () => {
    expect(await loseAt(recording, pick(starting, 5), () => "nothing")).toEqual([]);
  }, 240_000);

  test("what was acknowledged is there after a loss of all that was not synced, wherever it comes", async () => {
    expect(await loseAt(recording, running, () => "nothing")).toEqual([]);
  }, 240_000);

  for (const [survives, what] of [
    ["names", "names without their bytes"],
    ["bytes", "bytes without their names"],
    ["torn", "all but the second half of the last write to each file"],
  ] as const) {
    test(`and after one that keeps ${what}`, async () => {
      expect(await loseAt(recording, pick(running, 5), () => survives)).toEqual([]);
    }, 240_000);
  }

  test("and after one that keeps some writes and loses others", async () => {
    const from = running[0]?.events ?? 0;
    const anywhere = recording.events.slice(from).map(({ ended }, at): Cut => ({
      events: from + at + 1,
      answers: recording.events.filter((event) => event.kind === "answer" && event.began <= ended).length,
    }));
    expect(await loseAt(recording, pick(anywhere, 16), (seed) => ({ seed }))).toEqual([]);
  }, 240_000);

  for (const [what, isGone] of [
    ["files", (path: string) => path.includes("/uploads/")],
    ["folders", (path: string) => /\/blobs\/..$/.test(path)],
    ["the database's log", (path: string) => path.endsWith("-wal")],
  ] as const) {
    test(`a server that did not sync ${what} is found out`, async () => {
      const events = recording.events.filter((event) => event.kind !== "sync" || !isGone(event.path));
      const last = { events: events.length, answers: recording.told.length };
      expect(await lose({ ...recording, events }, last, { survives: "nothing" })).not.toEqual([]);
    }, 60_000);
  }

  test("a server whose row comes before the bytes, or whose 201 before the commit, is found out", async () => {
    const { events } = recording;
    // The last blob but the one that is deleted at once: everything that its push did to its own file and folder.
    const name = events.filter((event) => event.kind === "rename" && /\/blobs\/..\//.test(event.to)).at(-2);
    const bytes = events.filter((event) => name?.kind === "rename" && concerns(event, [name.from, name.to]));
    const answered = events.findIndex((event) => event.kind === "answer" && event.began > (name?.ended ?? 0));
    const commit = events.findLastIndex((event, at) => at < answered && event.kind === "sync" && isLog(event));
    const rowFirst = moved(events, bytes, commit);
    const answers = (count: number): number => rowFirst.slice(0, count).filter(({ kind }) => kind === "answer").length;
    const behindCommit = { events: commit + 1 - bytes.length, answers: answers(commit + 1 - bytes.length) };
    expect(
      await lose({ ...recording, events: rowFirst }, behindCommit, { survives: "nothing", isChecked: true }),
    ).toContainEqual(expect.stringContaining("missing-bytes"));

    const answerFirst = moved(events, events.slice(answered, answered + 1), commit - 1);
    const early = {
      events: commit + 1,
      answers: answerFirst.slice(0, commit + 1).filter(({ kind }) => kind === "answer").length,
    };
    expect(await lose({ ...recording, events: answerFirst }, early, { survives: "nothing" })).not.toEqual([]);
  }, 60_000);

  test("finished bytes whose row went with the power are removed, and only those", async () => {
    const { events } = recording;
    const folder = events.findIndex((event) => event.kind === "sync" && /\/blobs\/..$/.test(event.path));
    const disk = emptyDisk(recording.folder);
    for (const event of events.slice(0, folder + 1)) disk.play(event);
    const image = await mkdtemp(join(tmpdir(), "berth-power-"));
    try {
      await disk.writeImage(image, "nothing");
      const data = join(image, "parent", "data");
      expect((await runCheck(data)).findings).toMatchObject([{ kind: "orphan-file", finished: true }]);
      await using server = await startServer({ data, env: { BERTH_COLLECT_INTERVAL_SECONDS: "1" } });
      const blob = await pushBlob(registryOf(server), repository, Buffer.from("pushed since"));
      const deadline = Date.now() + 30_000;
      while ((await runCheck(data)).exitCode !== 0 && Date.now() < deadline) await Bun.sleep(200);
      expect((await runCheck(data)).findings).toEqual([]);
      expect((await registryOf(server).send("GET", `/v2/${repository}/blobs/${blob}`)).text).toBe("pushed since");
    } finally {
      await rm(image, { recursive: true, force: true });
    }
  }, 60_000);
});

const isLog = (event: DiskEvent): boolean => "path" in event && event.path.endsWith("-wal");

/** Whether an event changes one of these files, or makes the names in the last one's folder durable. */
function concerns(event: DiskEvent, paths: readonly string[]): boolean {
  if (event.kind === "rename") return paths.includes(event.to);
  return (
    "path" in event &&
    (paths.includes(event.path) || (event.kind === "sync" && event.path === dirname(paths.at(-1) ?? "")))
  );
}

/** The same events with some of them taken out and put behind the one at `place`. */
function moved(events: readonly DiskEvent[], some: readonly DiskEvent[], place: number): readonly DiskEvent[] {
  const others = (part: readonly DiskEvent[]): readonly DiskEvent[] => part.filter((event) => !some.includes(event));
  const order = [...others(events.slice(0, place + 1)), ...some, ...others(events.slice(place + 1))];
  return order.map((event, at) => ({ ...event, began: at, ended: at }));
}
