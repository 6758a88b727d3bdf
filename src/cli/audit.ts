import { pipeline } from "node:stream/promises";
import { type Command, Option } from "commander";
import type { CallApi } from "../access/api/client.ts";
import { exportAudit, listAudit, verifyAudit } from "../features/audit/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { StartError } from "./start-error.ts";
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
  withApiOptions(audit.command("verify"))
    .description("compare every entry with its seal, and tell where the chain breaks")
    .option("--head <head...>", "a head that was printed before: that seal has to be there, and the same")
    .action(verify);
  withApiOptions(audit.command("export"))
    .description("print every entry, the oldest first, one JSON object a line")
    .option("--after <id>", "those behind this one")
    .action(exportAll);
}

interface VerifyOptions extends ApiOptions {
  readonly head?: readonly string[];
}

const seal = /^\d{1,15}:sha256:[0-9a-f]{64}$/;

/** Exit code 1 where anything is not as it was sealed. */
function verify({ head: known = [], ...options }: VerifyOptions): Promise<void> {
  const wrong = known.find((text) => !seal.test(text));
  if (wrong !== undefined) throw new StartError(`--head: ${wrong} is no head`);
  const heads = known.length === 0 ? undefined : known.join(",");
  return withApi(options, async (call) => {
    const { faults, faultCount, entries, unsealed, head } = await call(verifyAudit, { query: { heads } });
    for (const { text, ...fault } of faults) {
      process.stdout.write(`${options.json ? JSON.stringify(fault) : `${fault.kind}  ${text}`}\n`);
    }
    const shown = `${head.number}:${head.digest}`;
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ kind: "verified", entries, unsealed, faults: faultCount, head: shown })}\n`
        : `verified ${entries} entries, ${unsealed} of them not sealed yet: ${faultCount} faults\nhead ${shown}\n`,
    );
    if (faultCount > 0) process.exitCode = 1;
  });
}

interface ExportOptions extends ApiOptions {
  readonly after?: string;
}

/** The oldest first; whoever goes on behind the last id has every entry once. */
function exportAll({ after = "0", ...options }: ExportOptions): Promise<void> {
  if (!/^\d{1,15}$/.test(after)) throw new StartError(`--after: ${after} is no id of an entry`);
  return withApi(options, (call) => pipeline(linesBehind(call, after), process.stdout, { end: false }));
}

/** A page at a time, so that none is too large for an answer. */
async function* linesBehind(call: CallApi, after: string): AsyncGenerator<string> {
  for (let behind: string | undefined = after; behind !== undefined;) {
    let next: string | undefined;
    for await (const lines of await call(exportAudit, { query: { after: behind, most: String(mostOfPage) } })) {
      yield lines;
      next = lastIdOf(lines) ?? next;
    }
    behind = next;
  }
}

/** An entry's line begins with its id. */
function lastIdOf(lines: string): string | undefined {
  const start = lines.lastIndexOf("\n", lines.length - 2) + 1;
  return /^\{"id":(\d+),/.exec(lines.slice(start))?.[1];
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
