import type { Command } from "commander";
import { apiClient } from "../access/api/client.ts";
import { toTime } from "../access/api/parameters.ts";
import { signIn } from "../access/sessions/contract.ts";
import { endSaved, serverArgument } from "./logout.ts";
import { readPassword } from "./read-password.ts";
import { namedServer, type Server, senderTo } from "./remote-api.ts";
import { readSavedSessions, type SavedSessions, saveSessions } from "./saved-sessions.ts";
import { StartError } from "./start-error.ts";
import { type ServerOptions, withServerOptions, withStartErrors } from "./with-api.ts";

interface LoginOptions extends ServerOptions {
  readonly username?: string;
  readonly code?: string;
  readonly imagesOnly?: true;
  readonly json?: true;
}

interface SignedIn {
  readonly saved: SavedSessions[string];
  readonly expiresAt: string;
}

/** `berth login`: signs in to a running server, and keeps what it gets in a file that its owner alone may read. */
export function addLogin(program: Command): void {
  withServerOptions(program.command("login").addArgument(serverArgument()))
    .description("sign in to a running server: with a browser, or as --username with a password")
    .option("-u, --username <name>", "the account; the password is the first line of standard input, or asked for")
    .option("--code <code>", "with --username: a one-time or recovery code, of an account that has a second factor")
    .option("--images-only", "without --username: for pulls, pushes and deletes alone")
    .option("--json", "JSON, one object a line")
    .action((server: string | undefined, options: LoginOptions) =>
      withStartErrors(() => logIn(server === undefined ? options : { ...options, server })),
    );
}

async function logIn(options: LoginOptions): Promise<void> {
  const server = namedServer(options);
  if (server.origin.startsWith("http:")) process.stderr.write(`berth: warning: ${server.origin} is not encrypted\n`);
  const { username } = options;
  const { saved, expiresAt } = await (username === undefined
    ? byDevice(server, options)
    : byPassword(server, { ...options, username }));
  const { [server.origin]: before, ...others } = await readSavedSessions();
  await saveSessions({ ...others, [server.origin]: saved });
  // Nobody will ever show it again. Where it cannot be ended now, it ends by itself.
  if (before !== undefined) await endSaved(server, before).catch(() => undefined);
  const shown = { server: server.origin, name: saved.name, expiresAt };
  const line = options.json
    ? JSON.stringify(shown)
    : `signed in to ${shown.server} as ${shown.name} until ${shown.expiresAt}`;
  process.stdout.write(`${line}\n`);
}

async function byPassword(
  server: Server,
  { username, code }: { readonly username: string; readonly code?: string },
): Promise<SignedIn> {
  const password = await readPassword(`Password of ${username}: `);
  const sender = await senderTo(server, undefined);
  const { name, expiresAt } = await apiClient(sender.send)(signIn, { body: { name: username, password, code } });
  const cookie = sender.cookie();
  if (cookie === undefined) throw new StartError(`${server.origin} has signed in and sent no cookie`);
  return { saved: { name, cookie }, expiresAt };
}

async function byDevice(server: Server, { imagesOnly, json }: LoginOptions): Promise<SignedIn> {
  const { signInByDevice } = await import("./sign-in-by-device.ts");
  const { expiresAt, ...saved } = await signInByDevice(server, {
    scope: imagesOnly === true ? "images" : "everything",
    onBegun({ url, code }) {
      if (json) process.stdout.write(`${JSON.stringify({ url, code })}\n`);
      process.stderr.write(`Open ${url} in a browser, and see that it shows the code ${code}.\n`);
    },
  });
  return { saved, expiresAt: toTime(expiresAt) };
}
