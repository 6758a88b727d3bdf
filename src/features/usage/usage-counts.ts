import type { Caller } from "../../access/principal.ts";
import type { RepositoryName } from "../../oci/names.ts";
import type { Database } from "../../platform/database/database.ts";
import type { Log } from "../../platform/telemetry/log.ts";
import { addUsage } from "./add-usage.ts";
import type { UsageRow } from "./tables.ts";

/** What one request has moved. */
export interface Moved {
  readonly pulls: number;
  readonly pulledBytes: number;
  readonly pushes: number;
  readonly pushedBytes: number;
}

/** Who has moved how much, gathered in memory: nobody waits for it, and a loss of power may take the last ten seconds. */
export interface UsageCounts {
  add(caller: Caller, repository: RepositoryName, moved: Moved): void;
  /** Writes down what was gathered. */
  flush(): Promise<void>;
  /** Requests that there was no room for. */
  dropped(): number;
}

interface UsageCountsDeps {
  readonly database: Database;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly most?: number;
}

type Gathered = { -readonly [Column in keyof UsageRow]: UsageRow[Column] };

const writtenAfterMs = 10_000;
const dayMs = 86_400_000;

export function usageCounts({ database, log, now = Date.now, most = 20_000 }: UsageCountsDeps): UsageCounts {
  let gathered = new Map<string, Gathered>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let writing: Promise<void> | undefined;
  let dropped = 0;
  const today = dayTeller();
  /** Most requests are of the same caller as the last one: to find its row by its key takes five times as long. */
  let latest: Latest | undefined;

  const write = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const some = gathered;
    gathered = new Map();
    latest = undefined;
    try {
      await addUsage(database, some);
    } catch (error) {
      log.error("usage not written", error);
      // What is not written is still in there.
      for (const [key, row] of some) putBack(key, row);
    }
    if (gathered.size > 0) timer ??= setTimeout(() => void flush(), writtenAfterMs).unref();
  };
  const putBack = (key: string, row: Gathered): void => {
    const newer = gathered.get(key);
    if (newer !== undefined) addTo(newer, row);
    else if (gathered.size < most) gathered.set(key, row);
    else dropped += 1;
  };
  const flush = (): Promise<void> => (writing ??= write().finally(() => (writing = undefined)));

  const find = (caller: Caller, at: Place): Latest | undefined => {
    const key = keyOf(caller, at);
    const known = gathered.get(key);
    if (known !== undefined) return { caller, row: known };
    if (gathered.size >= most) return undefined;
    const row = rowOf(caller, at);
    gathered.set(key, row);
    timer ??= setTimeout(() => void flush(), writtenAfterMs).unref();
    return { caller, row };
  };

  return {
    add(caller, repository, moved) {
      const day = today(now());
      if (latest?.caller !== caller || latest.row.repository !== repository || latest.row.day !== day) {
        latest = find(caller, { day, repository });
      }
      if (latest === undefined) dropped += 1;
      else addMoved(latest.row, moved);
    },
    async flush() {
      // What is being written was taken out before; what came since is written behind it.
      await writing;
      if (gathered.size > 0) await flush();
    },
    dropped: () => dropped,
  };
}

type Place = Pick<Gathered, "day" | "repository">;

function keyOf({ principal, tokenId = "" }: Caller, { day, repository }: Place): string {
  return `${day} ${repository} ${principal.kind === "anonymous" ? "" : principal.id} ${tokenId}`;
}

function rowOf({ principal, tokenId = "" }: Caller, at: Place): Gathered {
  const { id, name } = principal.kind === "anonymous" ? { id: "", name: "anonymous" } : principal;
  const who = { principal_kind: principal.kind, principal_id: id, principal_name: name, token_id: tokenId };
  return { ...at, ...who, pulls: 0, pulled_bytes: 0, pushes: 0, pushed_bytes: 0 };
}

interface Latest {
  readonly caller: Caller;
  readonly row: Gathered;
}

function addMoved(row: Amounts, { pulls, pulledBytes, pushes, pushedBytes }: Moved): void {
  row.pulls += pulls;
  row.pulled_bytes += pulledBytes;
  row.pushes += pushes;
  row.pushed_bytes += pushedBytes;
}

type Amounts = Pick<Gathered, "pulls" | "pulled_bytes" | "pushes" | "pushed_bytes">;

function addTo(row: Amounts, more: Amounts): void {
  row.pulls += more.pulls;
  row.pulled_bytes += more.pulled_bytes;
  row.pushes += more.pushes;
  row.pushed_bytes += more.pushed_bytes;
}

/** The day of a time, which is written out once a day. */
function dayTeller(): (ms: number) => string {
  let from = 0;
  let day = "";
  return (ms) => {
    if (day !== "" && ms >= from && ms < from + dayMs) return day;
    from = Math.floor(ms / dayMs) * dayMs;
    day = new Date(from).toISOString().slice(0, 10);
    return day;
  };
}
