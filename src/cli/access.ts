import type { Command } from "commander";
import { explainAccess } from "../access/grants/contract.ts";
import { printOne, printRow } from "./print.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface ExplainOptions extends ApiOptions {
  readonly user?: string;
  readonly team?: string;
  readonly tag?: string;
  readonly address?: string;
}

/** `berth access explain`: why somebody may do a thing, or may not. */
export function addAccess(program: Command): void {
  const access = program.command("access").description("who may do what");
  withApiOptions(access.command("explain <verb> <repository>"))
    .description("why somebody may read, create, update, delete or admin in a repository, or subject:verb, or may not")
    .option("--user <account>", "who, or a robot as it signs in; without it, somebody who is not signed in")
    .option("--team <team>", "somebody who is in this team and has nothing else")
    .option("--tag <tag>", "to this tag")
    .option("--address <address>", "from this address")
    .action((doing: string, repository: string, { user, team, tag, address, ...options }: ExplainOptions) =>
      withApi(options, async (call) => {
        const told = await call(explainAccess, { query: { account: user, team, doing, repository, tag, address } });
        if (options.json) return printOne(told, true);
        const row = { ...told, answer: told.allowed ? "allowed" : "denied" };
        return printRow(row, ["answer", "rule", "role", "grantId", "text", "missing"], false);
      }),
    );
}
