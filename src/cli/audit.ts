import { pipeline } from "node:stream/promises";
import { type Command, Option } from "commander";
import type { Reader } from "../platform/database/database.ts";
import { shownEntry } from "../features/audit/find-entries.ts";
import { entriesBehind } from "../features/audit/seal.ts";
import { describeFault, verifyAudit } from "../features/audit/verify.ts";
import { listAudit } from "../features/audit/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { type CommonOptions, withCommonOptions } from "./settings.ts";
import { StartError } from "./start-error.ts";
import { withRegistry } from "./with-registry.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface ListOptions extends ApiOptions {
  readonly since?: string;
  readonly until?: string;
  readonly actor?: string;
  readonly action?: string;
  readonly repository?: string;
  readonly request?: string;
  readonly outcome?: "done" | "refused";
  readonly limit?: string;
}

/** `berth audit ...`: what was done and what was refused, of a running server or in the data folder. */
export function addAudit(program: Command): void {
  const audit = program.command("audit").description("what was done and what was refused");
  withApiOptions(audit.command("list"))
    .description("search it, the newest first")
    .option("--since <time>", "from this time on (RFC 3339)")
    .option("--until <time>", "before this time")
    .option("--actor <name>", "who did it")
    .option("--action <action>", "what was done, such as tag-deleted")
    .option("--repository <name>", "where")
    .option("--request <id>", "by which request, as an answer or the log names it")
    .addOption(new Option("--outcome <outcome>", "how it ended").choices(["done", "refused"]))
    .option("--limit <number>", "how many (default 100)")
    .action(list);
  withCommonOptions(audit.command("verify"))
    .description("compare every entry in the data folder's database with its seal, and tell where the chain breaks")
    .option("--head <head...>", "a head that was printed before: that seal has to be there, and the same")
    .option("--json", "one JSON object a line for each fault, and one with the totals")
    .action(verify);
  withCommonOptions(audit.command("export"))
    .description("print every entry in the data folder's database, the oldest first, one JSON object a line")
    .option("--after <id>", "those behind this one")
    .option("--json", "the same: there is no other form")
    .action(exportAll);
}

interface VerifyOptions extends CommonOptions {
  readonly head?: readonly string[];
  readonly json?: true;
}

const knownSeal = /^(\d{1,15}):(sha256:[0-9a-f]{64})$/;

/** Exit code 1 where anything is not as it was sealed. */
function verify({ head = [], json, ...options }: VerifyOptions): Promise<void> {
  const known = head.map((text) => {
    const [, number, digest] = knownSeal.exec(text) ?? [];
    if (number === undefined || digest === undefined) throw new StartError(`--head: ${text} is no head`);
    return { number: Number(number), digest };
  });
  return withRegistry(options, async ({ database }) => {
    const { faults, entries, unsealed, head: newest } = await verifyAudit(database, known);
    for (const fault of faults) {
      process.stdout.write(`${json ? JSON.stringify(fault) : `${fault.kind}  ${describeFault(fault)}`}\n`);
    }
    const shown = `${newest.number}:${newest.digest}`;
    process.stdout.write(
      json
        ? `${JSON.stringify({ kind: "verified", entries, unsealed, faults: faults.length, head: shown })}\n`
        : `verified ${entries} entries, ${unsealed} of them not sealed yet: ${faults.length} faults\nhead ${shown}\n`,
    );
    if (faults.length > 0) process.exitCode = 1;
  });
}

interface ExportOptions extends CommonOptions {
  readonly after?: string;
}

/** The oldest first; whoever goes on behind the last id has every entry once. */
function exportAll({ after = "0", ...options }: ExportOptions): Promise<void> {
  if (!/^\d{1,15}$/.test(after)) throw new StartError(`--after: ${after} is no id of an entry`);
  return withRegistry(options, ({ database }) =>
    pipeline(linesBehind(database.read, Number(after)), process.stdout, { end: false }),
  );
}

async function* linesBehind(read: Reader, after: number): AsyncGenerator<string> {
  for (let behind = after; ;) {
    const rows = await entriesBehind(read, behind);
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows.map((row) => `${JSON.stringify(shownEntry(row))}\n`).join("");
    behind = last.id;
  }
}

const usualLimit = 100;
const mostOfPage = 1000;

function list({ limit, request: requestId, ...options }: ListOptions): Promise<void> {
  return withApi(options, async (call) => {
    const { since, until, actor, action, repository, outcome, json } = options;
    const filter = { since, until, actor, action, repository, requestId, outcome };
    let left = limit === undefined ? usualLimit : Number(limit);
    const all = allPages((after) =>
      call(listAudit, { query: { ...filter, limit: String(Math.min(left, mostOfPage)), after } }),
    );
    for await (const { actor: who, ...entry } of all) {
      if (json) printOne({ ...entry, actor: who }, true);
      else {
        const shown = {
          ...entry,
          who: `${who.kind}:${who.name}`,
          often: entry.times === 1 ? "" : `${entry.times} times`,
        };
        printRow(
          shown,
          ["at", "outcome", "action", "who", "repository", "target", "often", "address", "requestId"],
          false,
        );
      }
      left -= 1;
      if (left <= 0) return;
    }
  });
}
