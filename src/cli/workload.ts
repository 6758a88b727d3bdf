import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError } from "commander";
import type { z } from "zod";
import * as contracts from "../access/workload/contract.ts";
import { type Condition, formatCondition } from "../access/workload/rule.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { readPassword } from "./read-password.ts";
import { StartError } from "./start-error.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface AddOptions extends ApiOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly claim?: readonly Condition[];
}

interface RemoveOptions extends ApiOptions {
  readonly dryRun?: true;
}

interface TestOptions extends ApiOptions {
  readonly tokenFile?: string;
}

/** `berth workload ...`: tokens of CI systems and clusters in the place of a robot's secret. */
export function addWorkload(program: Command): void {
  const workload = program.command("workload").description("tokens of CI systems and clusters in place of a secret");
  withApiOptions(workload.command("add <robot>"))
    .description("have tokens that an issuer signs be a robot's, where all claims that are named are as they must be")
    .requiredOption("--issuer <url>", "whose tokens, letter by letter as their `iss`")
    .requiredOption("--audience <text>", "what they have to be made for, their `aud`")
    .option("--claim <name=pattern...>", "what a claim has to be, such as repository_id=1234; * is any text", collect)
    .action((robot: string, { issuer, audience, claim = [], ...options }: AddOptions) =>
      withApi(options, async (call) => {
        const body = { issuer, audience, conditions: [...claim] };
        print(await call(contracts.createWorkloadRule, { params: { robot }, body }), options);
      }),
    );
  withApiOptions(workload.command("list <robot>"))
    .description("list the rules of a robot")
    .action((robot: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        const query = { limit: "1000" };
        const all = allPages((after) =>
          call(contracts.listWorkloadRules, { params: { robot }, query: { ...query, after } }),
        );
        for await (const one of all) {
          if (options.json) printOne(one, true);
          else printRow({ ...one, claims: claimsOf(one) }, ["id", "issuer", "audience", "claims"], false);
        }
      }),
    );
  withApiOptions(workload.command("show <rule>"))
    .description("show a rule")
    .action((rule: string, options: ApiOptions) =>
      withApi(options, async (call) => print(await call(contracts.showWorkloadRule, { params: { rule } }), options)),
    );
  withApiOptions(workload.command("remove <rule>"))
    .description("take a rule away; what was issued by it is void with the next request")
    .option("--dry-run", "only tell what would be removed")
    .action((rule: string, { dryRun, ...options }: RemoveOptions) =>
      withApi(options, async (call) => {
        const asked = { params: { rule }, dryRun: dryRun === true };
        printRemoval(await call(contracts.deleteWorkloadRule, asked), options.json);
      }),
    );
  withApiOptions(workload.command("test <robot>"))
    .description("tell what each rule of a robot says to a token, on standard input, which is not used up by that")
    .option("--token-file <file>", "the token's file")
    .action(test);
}

type Rule = z.infer<(typeof contracts.showWorkloadRule)["output"]>;

const claimsOf = ({ conditions }: Rule): string => conditions.map(formatCondition).join(" ");

function print(rule: Rule, { json }: ApiOptions): void {
  if (json) return printOne(rule, true);
  const { conditions: _, ...rest } = rule;
  return printOne({ ...rest, claims: claimsOf(rule) }, false);
}

function collect(text: string, before: readonly Condition[] = []): readonly Condition[] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("write it as name=pattern, such as ref=refs/heads/main");
  return [...before, { claim: text.slice(0, equals), pattern: text.slice(equals + 1) }];
}

/** It ends with 1 where no rule trusts the token. */
async function test(robot: string, { tokenFile, ...options }: TestOptions): Promise<void> {
  const token = tokenFile === undefined ? await readPassword("Token: ") : await readToken(tokenFile);
  await withApi(options, async (call) => {
    const { rules } = await call(contracts.tryWorkloadToken, { params: { robot }, body: { token: token.trim() } });
    for (const { id, trusted, checks } of rules) {
      if (options.json) {
        printOne({ id, trusted, checks }, true);
        continue;
      }
      printRow({ id, answer: trusted ? "trusted" : "not trusted" }, ["id", "answer"], false);
      for (const { what, ok, given } of checks) {
        const row = { state: ok ? "  ok    " : "  FAILED", what, given: ok ? undefined : tellGiven(given) };
        printRow(row, ["state", "what", "given"], false);
      }
    }
    if (rules.length === 0) throw new StartError(`${robot} has no rule: berth workload add makes one`);
    if (!rules.some(({ trusted }) => trusted)) process.exitCode = 1;
  });
}

const tellGiven = (given: readonly string[] | undefined): string | undefined =>
  given && (given.length === 0 ? "(it has none)" : `(it has ${given.join(", ")})`);

async function readToken(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    throw new StartError(`${path} cannot be read`);
  }
}
