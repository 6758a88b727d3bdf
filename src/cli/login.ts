import type { Command } from "commander";
import { apiClient } from "../access/api/client.ts";
import { signIn } from "../access/sessions/contract.ts";
import { readPassword } from "./read-password.ts";
import { namedServer, senderTo } from "./remote-api.ts";
import { readSavedSessions, saveSessions } from "./saved-sessions.ts";
import { StartError } from "./start-error.ts";
import { type ServerOptions, withServerOptions, withStartErrors } from "./with-api.ts";

interface LoginOptions extends ServerOptions {
  readonly username: string;
  readonly code?: string;
  readonly json?: true;
}

/** `berth login`: begins a session with a running server, and keeps it in a file that its owner alone may read. */
export function addLogin(program: Command): void {
  withServerOptions(program.command("login"))
    .description("sign in to a running server; the password is the first line of standard input, or asked for")
    .requiredOption("-u, --username <name>", "the account")
    .option("--code <code>", "a one-time or recovery code, of an account that has a second factor")
    .option("--json", "JSON, one object a line")
    .action((options: LoginOptions) => withStartErrors(() => logIn(options)));
}

async function logIn(options: LoginOptions): Promise<void> {
  const server = namedServer(options);
  if (server.origin.startsWith("http:")) process.stderr.write(`berth: warning: ${server.origin} is not encrypted\n`);
  const password = await readPassword(`Password of ${options.username}: `);
  const sender = await senderTo(server, undefined);
  const session = await apiClient(sender.send)(signIn, {
    body: { name: options.username, password, code: options.code },
  });
  const cookie = sender.cookie();
  if (cookie === undefined) throw new StartError(`${server.origin} has signed in and sent no cookie`);
  await saveSessions({ ...(await readSavedSessions()), [server.origin]: { name: session.name, cookie } });
  const shown = { server: server.origin, name: session.name, expiresAt: session.expiresAt };
  const line = options.json
    ? JSON.stringify(shown)
    : `signed in to ${shown.server} as ${shown.name} until ${shown.expiresAt}`;
  process.stdout.write(`${line}\n`);
}
