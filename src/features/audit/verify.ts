import type { Database } from "../../platform/database/database.ts";
import { type Link, startSeal } from "./chain.ts";
import { entriesBehind, firstOfChain } from "./seal.ts";

/** What `verify` was told of a seal before, by somebody who wrote it down elsewhere. */
export interface KnownSeal {
  readonly number: number;
  readonly digest: string;
}

export type AuditFault =
  /** An entry of a seal is not there. */
  | { readonly kind: "missing-entry"; readonly id: number; readonly seal: number }
  /** One or more of its entries are not what they were. */
  | { readonly kind: "altered-entries"; readonly seal: number; readonly from: number; readonly to: number }
  /** Seals do not follow one another. */
  | { readonly kind: "broken-chain"; readonly seal: number }
  /** An entry behind the last seal is not there, or the last ones are not. */
  | { readonly kind: "missing-tail"; readonly after: number; readonly lastId: number }
  /** The seal that somebody knows is not there, or is another. */
  | { readonly kind: "unknown-head"; readonly seal: number };

export interface Verified {
  readonly faults: readonly AuditFault[];
  readonly entries: number;
  readonly unsealed: number;
  /** The newest seal: whoever writes it down elsewhere can tell later whether this much is still there. */
  readonly head: KnownSeal;
}

const sealsAtOnce = 100;

/** Reads every entry, and compares it with what was sealed. Goes on beside a server. */
export async function verifyAudit(database: Database, known: readonly KnownSeal[] = []): Promise<Verified> {
  const { read } = database;
  // What is written while it reads comes behind this.
  const { last_id: lastId } = await read.selectFrom("audit_state").select("last_id").executeTakeFirstOrThrow();
  const start = await firstOfChain(read);
  const faults: AuditFault[] = [];
  const wanted = new Map(known.map(({ number, digest }) => [number, digest]));
  const confirm = ({ number, digest }: Link): void => {
    if (wanted.get(number) === digest) wanted.delete(number);
  };
  confirm(start);
  let link = start;
  for (;;) {
    const seals = await read
      .selectFrom("audit_seals")
      .selectAll()
      .where("number", ">", link.number)
      .orderBy("number")
      .limit(sealsAtOnce)
      .execute();
    for (const seal of seals) {
      const next = { number: seal.number, to: seal.to_id, digest: seal.digest };
      confirm(next);
      if (seal.number !== link.number + 1 || seal.from_id !== link.to + 1) {
        faults.push({ kind: "broken-chain", seal: seal.number });
      } else {
        faults.push(...(await faultsOf(database, link, next)));
      }
      link = next;
    }
    if (seals.length < sealsAtOnce) break;
  }
  const tail = await countTail(database, link.to, lastId);
  if (tail.reached < lastId) faults.push({ kind: "missing-tail", after: tail.reached, lastId });
  // What has been cut off by its age is proven by what is behind it.
  for (const [number] of wanted) if (number >= start.number) faults.push({ kind: "unknown-head", seal: number });
  // Its beginning has gone with its age meanwhile.
  if (faults.length > 0 && (await firstOfChain(read)).number !== start.number) return verifyAudit(database, known);
  const { number, digest } = link;
  return { faults, entries: lastId - start.to, unsealed: Math.max(0, lastId - link.to), head: { number, digest } };
}

async function faultsOf(
  { read }: Database,
  before: Link,
  { number, to, digest }: Link,
): Promise<readonly AuditFault[]> {
  const seal = startSeal(before.digest);
  let reached = before.to;
  while (reached < to) {
    const rows = (await entriesBehind(read, reached)).filter(({ id }) => id <= to);
    for (const row of rows) {
      if (row.id !== reached + 1) return [{ kind: "missing-entry", id: reached + 1, seal: number }];
      seal.add(row);
      reached = row.id;
    }
    if (rows.length === 0) return [{ kind: "missing-entry", id: reached + 1, seal: number }];
  }
  return seal.digest() === digest ? [] : [{ kind: "altered-entries", seal: number, from: before.to + 1, to }];
}

/** How far the entries behind the last seal go without a gap. */
async function countTail({ read }: Database, from: number, lastId: number): Promise<{ readonly reached: number }> {
  let reached = from;
  while (reached < lastId) {
    const rows = await entriesBehind(read, reached);
    if (rows.length === 0) break;
    for (const { id } of rows) {
      if (id !== reached + 1) return { reached };
      reached = id;
    }
  }
  return { reached };
}

export function describeFault(fault: AuditFault): string {
  switch (fault.kind) {
    case "missing-entry":
      return `entry ${fault.id} of seal ${fault.seal} is missing`;
    case "altered-entries":
      return `of the entries ${fault.from} to ${fault.to}, sealed by ${fault.seal}, one or more are not what they were`;
    case "broken-chain":
      return `seal ${fault.seal} does not follow the one before it`;
    case "missing-tail":
      return `entries behind ${fault.after} are missing; the last one was ${fault.lastId}`;
    case "unknown-head":
      return `seal ${fault.seal} is not the one that was given, or is not there`;
    default:
      return fault satisfies never;
  }
}
