import type { Command } from "commander";
import type { Reader } from "../platform/database/database.ts";
import { refuse } from "../access/refusal.ts";
import { requireAccount } from "../access/require-named.ts";
import { requireRobot } from "../access/robots/find-robot.ts";
import { createToken, type NewToken, type Owner, rotateToken, setTokenState } from "../access/tokens/change-tokens.ts";
import { listTokens, type TokenShown } from "../access/tokens/list-tokens.ts";
import type { TokenState } from "../access/tokens/tables.ts";
import { parseTokenScopes } from "../access/tokens/token-scopes.ts";
import { printRow } from "./print-rows.ts";
import { readTime } from "./read-time.ts";
import { type AccessOptions, everyOne, withAccess, withAccessOptions } from "./with-access.ts";

interface OwnerOptions extends AccessOptions {
  readonly user?: string;
  readonly robot?: string;
}

interface CreateOptions extends OwnerOptions {
  readonly name: string;
  readonly scope?: readonly string[];
  readonly network?: readonly string[];
  readonly until?: string;
}

interface RotateOptions extends AccessOptions {
  readonly overlapHours: string;
}

const withOwner = (command: Command): Command =>
  withAccessOptions(command)
    .option("--user <account>", "whose it is: an account, or")
    .option("--robot <name>", "a robot, as it signs in");

/** `berth token ...`: personal access tokens, and the secrets of robots. */
export function addToken(program: Command): void {
  const token = program.command("token").description("personal access tokens, and the secrets of robots");
  withOwner(token.command("create"))
    .description("make a token, which is shown this once")
    .option("--name <text>", "what it is for", "token")
    .option("--scope <scope...>", "only for this, such as 'acme/**:read,create'; a robot's needs none")
    .option("--network <network...>", "only from these networks")
    .option("--until <time>", "only until then, such as 2027-01-31T12:00Z (default: access.tokens.defaultDays)")
    .action((options: CreateOptions) =>
      withAccess(options, async ({ read, change, tokenLimits }) => {
        const wanted = wantedToken(await ownerOf(read, options), options);
        const { id, text, expiresAt } = await change((tx) => createToken(tx, tokenLimits, wanted));
        printRow({ id, token: text, expiresAt: timeText(expiresAt) }, options.json);
      }),
    );
  withOwner(token.command("list"))
    .description("list the tokens of an account or a robot, those that have ended too")
    .action((options: OwnerOptions) =>
      withAccess(options, async ({ read }) => {
        const owner = await ownerOf(read, options);
        const all = everyOne(
          (page) => listTokens(read, { owner, now: Date.now() }, page),
          ({ id }) => id,
        );
        for await (const one of all) printRow(rowOf(one), options.json);
      }),
    );
  withAccessOptions(token.command("rotate <id>"))
    .description("make another token in the place of one, which is good for a while yet")
    .option("--overlap-hours <hours>", "how long", "24")
    .action((id: string, { overlapHours, ...options }: RotateOptions) =>
      withAccess(options, async ({ change, tokenLimits }) => {
        const overlapMs = readHours(overlapHours) * 60 * 60_000;
        const made = await change((tx) => rotateToken(tx, tokenLimits, { id, overlapMs }));
        const row = { id: made.id, token: made.text, expiresAt: timeText(made.expiresAt) };
        printRow({ ...row, oldExpiresAt: timeText(made.oldExpiresAt) }, options.json);
      }),
    );
  addState(token, "disable", { state: "disabled", says: "let a token do nothing until it is enabled again" });
  addState(token, "enable", { state: "active", says: "let a disabled token do again what it did" });
  addState(token, "revoke", { state: "revoked", says: "end a token for good" });
}

function addState(
  token: Command,
  verb: string,
  { state, says }: { readonly state: TokenState; readonly says: string },
): void {
  withAccessOptions(token.command(`${verb} <id>`))
    .description(says)
    .action((id: string, options: AccessOptions) =>
      withAccess(options, async ({ change }) => {
        await change((tx) => setTokenState(tx, { id, state }));
        printRow({ id, state }, options.json);
      }),
    );
}

async function ownerOf(reader: Reader, { user, robot }: OwnerOptions): Promise<Owner> {
  if (user !== undefined && robot === undefined) return { kind: "account", ...(await requireAccount(reader, user)) };
  if (robot === undefined || user !== undefined) return refuse("invalid", "say whose it is: --user or --robot");
  const { id, name } = await requireRobot(reader, robot);
  return { kind: "robot", id, name };
}

/** An account has more rights than any program should: its tokens say what they are for. */
function wantedToken(owner: Owner, { name, scope, network, until }: CreateOptions): NewToken {
  if (owner.kind === "account" && scope === undefined) refuse("invalid", "say what it is for: --scope");
  return {
    owner,
    name,
    ...(scope && { scopes: parseTokenScopes(scope) }),
    ...(network && { networks: network }),
    ...(until !== undefined && { expiresAt: readTime(until) }),
  };
}

const longestOverlapHours = 24 * 90;

function readHours(text: string): number {
  const hours = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  return hours <= longestOverlapHours
    ? hours
    : refuse("invalid", `an overlap is 0 to ${String(longestOverlapHours)} hours`);
}

const timeText = (ms: number): string => new Date(ms).toISOString();

const rowOf = ({ id, name, state, scopes, networks, expiresAt, lastUsedAt, lastUsedAddress }: TokenShown) => ({
  id,
  name,
  state,
  ...(scopes && { scopes }),
  ...(networks && { networks }),
  expiresAt: timeText(expiresAt),
  ...(lastUsedAt !== undefined && { lastUsedAt: timeText(lastUsedAt) }),
  ...(lastUsedAddress !== undefined && { lastUsedAddress }),
});
