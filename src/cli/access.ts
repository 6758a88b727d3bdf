import type { Command } from "commander";
import { type AccessQuestion, explain, type Explanation } from "../access/explain.ts";
import { printRow } from "./print-rows.ts";
import { type AccessOptions, withAccess, withAccessOptions } from "./with-access.ts";

interface ExplainOptions extends AccessOptions {
  readonly user?: string;
  readonly tag?: string;
  readonly address?: string;
}

/** `berth access explain`: why somebody may do a thing, or may not. */
export function addAccess(program: Command): void {
  const access = program.command("access").description("who may do what");
  withAccessOptions(access.command("explain <verb> <repository>"))
    .description("why somebody may read, create, update, delete or admin in a repository, or subject:verb, or may not")
    .option("--user <account>", "who; without it, somebody who is not signed in")
    .option("--tag <tag>", "to this tag")
    .option("--address <address>", "from this address")
    .action((verb: string, repository: string, { user, tag, address, ...options }: ExplainOptions) =>
      withAccess(options, async (local) => {
        const question: AccessQuestion = {
          doing: verb,
          repository,
          ...(user !== undefined && { account: user }),
          ...(tag !== undefined && { tag }),
          ...(address !== undefined && { address }),
        };
        print(await explain(local, question), options);
      }),
    );
}

function print({ decision }: Explanation, { json }: AccessOptions): void {
  const { because } = decision;
  printRow(
    {
      answer: decision.allowed ? "allowed" : "denied",
      ...because,
      ...(!decision.allowed && decision.missing !== undefined && { missing: decision.missing }),
    },
    json,
  );
}
