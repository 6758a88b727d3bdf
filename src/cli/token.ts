import type { Command } from "commander";
import * as contracts from "../access/tokens/contract.ts";
import { allPages } from "./all-pages.ts";
import { printOne, printRow } from "./print.ts";
import { printRemoval } from "./print-removal.ts";
import { StartError } from "./start-error.ts";
import { type ApiOptions, withApi, withApiOptions } from "./with-api.ts";

interface OwnerOptions extends ApiOptions {
  readonly user?: string;
  readonly robot?: string;
}

interface CreateOptions extends OwnerOptions {
  readonly name: string;
  readonly scope?: readonly string[];
  readonly network?: readonly string[];
  readonly until?: string;
}

interface RotateOptions extends ApiOptions {
  readonly overlapHours: string;
}

const withOwner = (command: Command): Command =>
  withApiOptions(command)
    .option("--user <account>", "of this account; on a server, the own where it is not said")
    .option("--robot <name>", "of this robot, as it signs in");

/** `berth token ...`: personal access tokens, and the secrets of robots. */
export function addToken(program: Command): void {
  const token = program.command("token").description("personal access tokens, and the secrets of robots");
  withOwner(token.command("create"))
    .description("make a token, which is shown this once")
    .option("--name <text>", "what it is for", "token")
    .option("--scope <scope...>", "only for this, such as 'acme/**:read,create'; a robot's needs none")
    .option("--network <network...>", "only from these networks")
    .option("--until <time>", "only until then, such as 2027-01-31T12:00:00Z (default: access.tokens.defaultDays)")
    .action(({ user: account, robot, name, scope, network, until, ...options }: CreateOptions) =>
      withApi(options, async (call) => {
        const limits = { ...(scope && { scopes: [...scope] }), ...(network && { networks: [...network] }) };
        const body = { account, robot, name, until, ...limits };
        printOne(await call(contracts.createToken, { body }), options.json === true);
      }),
    );
  withOwner(token.command("list"))
    .description("list tokens, those that have ended too")
    .action(({ user: account, robot, ...options }: OwnerOptions) =>
      withApi(options, async (call) => {
        const query = { account, robot, limit: "1000" };
        const all = allPages((after) => call(contracts.listTokens, { query: { ...query, after } }));
        const columns = ["id", "name", "state", "scopes", "networks", "expiresAt", "lastUsedAt", "lastUsedAddress"];
        for await (const one of all) printRow(one, columns, options.json === true);
      }),
    );
  withApiOptions(token.command("rotate <id>"))
    .description("make another token in the place of one, which is good for a while yet")
    .option("--overlap-hours <hours>", "how long", "24")
    .action((id: string, { overlapHours, ...options }: RotateOptions) =>
      withApi(options, async (call) => {
        const body = { overlapSeconds: readHours(overlapHours) * 3600 };
        printOne(await call(contracts.rotateToken, { params: { token: id }, body }), options.json === true);
      }),
    );
  for (const [verb, state] of [
    ["disable", "disabled"],
    ["enable", "active"],
  ] as const) {
    withApiOptions(token.command(`${verb} <id>`))
      .description(`${verb} a token, with all that was issued for it`)
      .action((id: string, options: ApiOptions) =>
        withApi(options, async (call) => {
          await call(contracts.changeToken, { params: { token: id }, body: { state } });
          printOne({ id, state }, options.json === true);
        }),
      );
  }
  withApiOptions(token.command("revoke <id>"))
    .description("end a token for good, with all that was issued for it")
    .action((id: string, options: ApiOptions) =>
      withApi(options, async (call) => {
        printRemoval(await call(contracts.revokeToken, { params: { token: id } }), options.json);
      }),
    );
}

function readHours(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new StartError(`${text} is no whole number of hours`);
  return Number(text);
}
