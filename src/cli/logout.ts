import { Argument, type Command } from "commander";
import { signOut } from "../access/sessions/contract.ts";
import { revokeToken } from "../access/tokens/contract.ts";
import { namedServer, remoteApi, type Server } from "./remote-api.ts";
import { readSavedSessions, type SavedSessions, saveSessions } from "./saved-sessions.ts";
import { type ServerOptions, withServerOptions, withStartErrors } from "./with-api.ts";

interface LogoutOptions extends ServerOptions {
  readonly json?: true;
}

/** `berth logout`. */
export function addLogout(program: Command): void {
  withServerOptions(program.command("logout").addArgument(serverArgument()))
    .description("end the session with a server, or the token of this machine")
    .option("--json", "JSON, one object a line")
    .action((server: string | undefined, options: LogoutOptions) =>
      withStartErrors(() => logOut(server === undefined ? options : { ...options, server })),
    );
}

/** The same as --server. */
export const serverArgument = (): Argument => new Argument("[server]", "the server, such as registry.example.org");

async function logOut(options: LogoutOptions): Promise<void> {
  const server = namedServer(options);
  const { [server.origin]: saved, ...others } = await readSavedSessions();
  // First of all here: a server that is away must not keep anyone from forgetting it.
  await saveSessions(others);
  if (saved !== undefined) await endSaved(server, saved);
  const line = options.json ? JSON.stringify({ server: server.origin }) : `signed out of ${server.origin}`;
  process.stdout.write(`${line}\n`);
}

/** On the server too. @throws ApiRefusal, OutboundError */
export async function endSaved(server: Server, saved: SavedSessions[string]): Promise<void> {
  const call = await remoteApi(server, saved);
  if ("token" in saved) await call(revokeToken, { params: { token: saved.tokenId } });
  else await call(signOut, {});
}
