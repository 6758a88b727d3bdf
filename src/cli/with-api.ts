import type { Command } from "commander";
import { revisionWatch } from "../access/access-revision.ts";
import { ApiRefusal, type CallApi } from "../access/api/client.ts";
import { type Authorization, authorizer } from "../access/authorize.ts";
import type { Visibilities } from "../access/visible-to.ts";
import { administrationRoutes } from "../http/api/api-routes.ts";
import { callLocally } from "../http/api/call-locally.ts";
import { tellProblems } from "../http/problem-reply.ts";
import { RegistryError } from "../oci/problem.ts";
import { OutboundError } from "../platform/net/outbound.ts";
import { createPasswords } from "../platform/passwords/passwords.ts";
import { operator } from "./operator.ts";
import { remoteApi, serverOf } from "./remote-api.ts";
import { readSavedSessions } from "./saved-sessions.ts";
import { type CommonOptions, withCommonOptions } from "./settings.ts";
import { StartError } from "./start-error.ts";
import { loadedLater } from "./wanted-workload.ts";
import { withRegistry } from "./with-registry.ts";

export interface ServerOptions {
  readonly server?: string;
  readonly caFile?: string;
}

export interface ApiOptions extends CommonOptions, ServerOptions {
  readonly json?: true;
}

export const withServerOptions = (command: Command): Command =>
  command
    .option("--server <url>", "ask this server, with BERTH_TOKEN or what `berth login` keeps (default BERTH_SERVER)")
    .option("--ca-file <file>", "authorities in PEM that the server is trusted by, beside the usual ones");

/** The options of every command that asks a running server, or works on the data folder. */
export const withApiOptions = (command: Command): Command =>
  withServerOptions(withCommonOptions(command)).option("--json", "JSON, one object a line");

/** The server that a command is for; `undefined`: the data folder. */
const serverName = ({ server, data }: ServerOptions & CommonOptions): string | undefined =>
  server ?? (data === undefined ? process.env["BERTH_SERVER"] : undefined);

/** Gives a command the API, of a server or of the data folder. @throws StartError for what is refused */
export const withApi = (options: ApiOptions, work: (call: CallApi) => Promise<void>): Promise<void> =>
  withStartErrors(async () => {
    const name = serverName(options);
    if (name === undefined) await withLocalApi(options, work);
    else await work(await signedIn(name, options.caFile));
  });

/** @throws StartError for what the API refuses */
export async function withStartErrors(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw toStartError(error);
  }
}

async function signedIn(name: string, caFile: string | undefined): Promise<CallApi> {
  const server = serverOf(name, caFile);
  const token = process.env["BERTH_TOKEN"];
  if (token !== undefined && token !== "") return remoteApi(server, { token: requireToken(token) });
  const saved = (await readSavedSessions())[server.origin];
  if (saved === undefined) throw new StartError(`nobody has signed in to ${server.origin}; berth login does`);
  return remoteApi(server, saved);
}

/** Anything else would be somebody's password, or break the header. */
function requireToken(text: string): string {
  const token = text.trim();
  if (!/^berth_[A-Za-z0-9_-]+$/.test(token)) throw new StartError("BERTH_TOKEN is no token of Berth's");
  return token;
}

/** What is to be told, the command tells. */
const silent = { info: () => undefined, warn: () => undefined };
const oneAtATime = { concurrent: 1, waiting: 0 };

const withLocalApi = (options: CommonOptions, work: (call: CallApi) => Promise<void>): Promise<void> =>
  withRegistry(options, async (registry, { data, access: policy, delete: { enabled: deletesEnabled } }) => {
    const { database } = registry;
    const passwords = createPasswords(oneAtATime);
    // What others may do is told as it is; what is asked here is somebody's who may do everything.
    const { authorize } = authorizer({ database, policy, revision: revisionWatch(database).rights, now: Date.now });
    const everything = { registry, authorization: allowsAll, visibleTo: seesAll, deletesEnabled };
    const deps = {
      ...everything,
      authorize,
      database,
      passwords,
      dataFolder: data,
      now: Date.now,
      tokenLimits: policy.tokens,
      sourceSettings: policy.sources ?? [],
      listedIssuers: policy.issuers ?? [],
      workload: loadedLater(policy, { database, log: silent, now: Date.now }),
    };
    const routes = administrationRoutes(deps);
    await work(callLocally({ database, routes, envelope: operator() }));
  });

const allowed = {
  allowed: true,
  because: { rule: "operator", text: "whoever has the data folder may do everything" },
} as const;
const allowsAll: Authorization = { authorize: async () => allowed, judge: async () => () => allowed };
const seesAll: Visibilities["visibleTo"] = async () => ({ visible: [(expression) => expression.lit(true)] });

function whatHelps({ status, code }: ApiRefusal): string {
  if (code === "SECOND_FACTOR_REQUIRED") return ": --code gives it";
  return status === 401 ? "; berth login signs in" : "";
}

/** What the operator can set right, told in one line; anything else is a bug. */
function toStartError(error: unknown): unknown {
  if (error instanceof ApiRefusal) return new StartError(`${error.message}${whatHelps(error)}`);
  if (error instanceof OutboundError) return new StartError(error.message);
  if (!(error instanceof RegistryError)) return error;
  const { errors } = tellProblems(error.problems, () => undefined);
  return new StartError(errors.map(({ message }) => message).join("; "));
}
