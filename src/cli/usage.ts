import { type Command, Option } from "commander";
import { listUsage } from "../features/usage/contract.ts";
import { csvHead, csvLine } from "../features/usage/csv.ts";
import { allPages } from "./all-pages.ts";
import { printRow } from "./print.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface UsageOptions extends ApiOptions {
  readonly since?: string;
  readonly until?: string;
  readonly account?: string;
  readonly token?: string;
  readonly repository?: string;
  readonly csv?: true;
}

const columns = ["day", "account", "token", "repository", "pulls", "pulledBytes", "pushes", "pushedBytes"];

/** `berth usage`: of a running server or in the data folder. */
export function addUsage(program: Command): void {
  withApiOptions(program.command("usage"))
    .description("list who has moved how much in which repository, by day")
    .option("--since <day>", "from this day on, such as 2026-11-29")
    .option("--until <day>", "before this day")
    .option("--account <name>", "of an account or robot, or of anonymous")
    .option("--token <id>", "of a personal token or robot secret")
    .option("--repository <name>", "in a repository")
    .addOption(new Option("--csv", "a table for spreadsheets").conflicts("json"))
    .action(({ since, until, account, token, repository, csv, ...options }: UsageOptions) =>
      withApi(options, async (call) => {
        const filter = { since, until, account, token, repository };
        const all = allPages((after) => call(listUsage, { query: { ...filter, limit: "1000", after } }));
        if (csv === true) process.stdout.write(csvHead);
        for await (const row of all) {
          if (csv === true) process.stdout.write(csvLine(row));
          else printRow(row, columns, options.json === true);
        }
      }),
    );
}
