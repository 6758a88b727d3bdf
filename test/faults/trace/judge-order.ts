import { basename, dirname } from "node:path";
import type { DiskEvent } from "./parse-trace.ts";

/** One thing that must be done before the next begins; without events it was never done. */
export interface Step {
  readonly name: string;
  readonly events: readonly DiskEvent[];
}

type Kind<K extends DiskEvent["kind"]> = Extract<DiskEvent, { readonly kind: K }>;

function ofKind<K extends DiskEvent["kind"]>(events: readonly DiskEvent[], kind: K): readonly Kind<K>[] {
  return events.filter((event): event is Kind<K> => event.kind === kind);
}

/** What the push of a blob did, in the order that makes its 201 true. */
export function stepsOfBlobPush(events: readonly DiskEvent[], bytes: Buffer): readonly Step[] {
  const writes = findWrites(events, bytes);
  const path = writes[0]?.path ?? "";
  const rename = ofKind(events, "rename").filter((event) => event.from === path);
  const folder = dirname(rename[0]?.to ?? "/nowhere");
  const firstSyncOf = (place: string): readonly DiskEvent[] =>
    ofKind(events, "sync")
      .filter((event) => event.path === place)
      .slice(0, 1);
  return [
    { name: "the bytes are written to a file of their own", events: writes },
    { name: "the file is synced", events: firstSyncOf(path) },
    { name: "the file gets its name", events: rename },
    { name: "the folder is synced", events: firstSyncOf(folder) },
    ...stepsOfCommit(events, basename(path)),
  ];
}

/** What the push of a manifest did: its bytes are rows, so all of it is one commit. */
export const stepsOfManifestPush = (events: readonly DiskEvent[], bytes: Buffer): readonly Step[] =>
  stepsOfCommit(events, bytes);

const isLog = ({ path }: { readonly path: string }): boolean => path.endsWith(".sqlite-wal");

/** The last commit of the database's log that has `content` in it, its sync, and the answer behind it. */
function stepsOfCommit(events: readonly DiskEvent[], content: string | Buffer): readonly Step[] {
  const commit = commitsIn(events).findLast((writes) => writes.some(({ bytes }) => bytes.includes(content))) ?? [];
  const written = commit.at(-1)?.ended ?? Number.POSITIVE_INFINITY;
  const sync = ofKind(events, "sync")
    .filter(isLog)
    .find((one) => one.began > written);
  const answer = ofKind(events, "answer").findLast(({ status }) => status === 201);
  return [
    { name: "the rows are written to the database's log", events: commit },
    { name: "the log is synced", events: sync === undefined ? [] : [sync] },
    { name: "the client gets its 201", events: answer === undefined ? [] : [answer] },
  ];
}

const frameHeaderBytes = 24;

/** A frame's header says whether the page behind it is the last of its commit (SQLite, "WAL Frame Format"). */
function commitsIn(events: readonly DiskEvent[]): readonly (readonly Kind<"write">[])[] {
  const commits: Kind<"write">[][] = [];
  let running: Kind<"write">[] = [];
  let isLast = false;
  for (const write of ofKind(events, "write").filter(isLog)) {
    running.push(write);
    if (write.bytes.length === frameHeaderBytes) isLast = write.bytes.readUInt32BE(4) !== 0;
    else if (isLast) {
      commits.push(running);
      running = [];
      isLast = false;
    }
  }
  return commits;
}

/** What each answer had synced since the one before it: the names of files, with their keys left out. */
export function syncsOfAnswers(events: readonly DiskEvent[]): readonly string[] {
  const answers = ofKind(events, "answer").toSorted((a, b) => a.began - b.began);
  const syncs = ofKind(events, "sync");
  return answers.map(({ began }, at) => {
    const since = answers[at - 1]?.began ?? -1;
    const own = syncs.filter((sync) => sync.ended > since && sync.ended < began);
    return own.map(({ path }) => kindOf(path)).join(", ");
  });
}

function kindOf(path: string): string {
  if (path.endsWith("-wal")) return "log";
  if (/\/uploads\/[0-9a-f]{32}$/.test(path)) return "file";
  return /\/(?:blobs\/[0-9a-f]{2}|uploads)$/.test(path) ? "folder" : basename(path);
}

/** The writes that together make up `bytes`, in one file. */
function findWrites(events: readonly DiskEvent[], bytes: Buffer): readonly Kind<"write">[] {
  for (const writes of Map.groupBy(ofKind(events, "write"), ({ path }) => path).values()) {
    const content = Buffer.alloc(bytes.length);
    let written = 0;
    // What says no offset goes on where the one before it ended.
    for (const { offset = written, bytes: part } of writes) {
      if (offset + part.length > bytes.length) continue;
      part.copy(content, offset);
      written += part.length;
    }
    if (written >= bytes.length && content.equals(bytes)) return writes;
  }
  return [];
}

/** What is missing or out of order; nothing when each step had ended before the next began. */
export function judgeOrder(steps: readonly Step[]): readonly string[] {
  const missing = steps.filter(({ events }) => events.length === 0).map(({ name }) => `never: ${name}`);
  const done = steps.filter(({ events }) => events.length > 0);
  const late = done.flatMap((step, at) => {
    const before = done[at - 1];
    if (before === undefined) return [];
    const ended = Math.max(...before.events.map((event) => event.ended));
    const began = Math.min(...step.events.map((event) => event.began));
    return ended < began ? [] : [`too late: ${before.name}, then ${step.name}`];
  });
  return [...missing, ...late];
}
