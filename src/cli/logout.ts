import type { Command } from "commander";
import { signOut } from "../access/sessions/contract.ts";
import { namedServer, remoteApi } from "./remote-api.ts";
import { readSavedSessions, saveSessions } from "./saved-sessions.ts";
import { type ServerOptions, withServerOptions, withStartErrors } from "./with-api.ts";

interface LogoutOptions extends ServerOptions {
  readonly json?: true;
}

/** `berth logout`. */
export function addLogout(program: Command): void {
  withServerOptions(program.command("logout"))
    .description("end the session with a server")
    .option("--json", "JSON, one object a line")
    .action((options: LogoutOptions) => withStartErrors(() => logOut(options)));
}

async function logOut(options: LogoutOptions): Promise<void> {
  const server = namedServer(options);
  const { [server.origin]: saved, ...others } = await readSavedSessions();
  // First of all here: a server that is away must not keep anyone from forgetting it.
  await saveSessions(others);
  if (saved !== undefined) await (await remoteApi(server, saved))(signOut, {});
  const line = options.json ? JSON.stringify({ server: server.origin }) : `signed out of ${server.origin}`;
  process.stdout.write(`${line}\n`);
}
