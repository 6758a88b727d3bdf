import { Command } from "commander";
import { ConfigError } from "../platform/config/load-config.ts";
import { StartError } from "./start-error.ts";

type AddCommand = (program: Command) => void;

/** A server is started without what all the other commands need. */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
  config: async () => (await import("./config.ts")).addConfig,
  serve: async () => (await import("./serve.ts")).addServe,
  audit: async () => (await import("./audit.ts")).addAudit,
  check: async () => (await import("./check.ts")).addCheck,
  uploads: async () => (await import("./uploads.ts")).addUploads,
  jobs: async () => (await import("./jobs.ts")).addJobs,
  "docker-credential": async () => (await import("./docker-credential.ts")).addDockerCredential,
  login: async () => (await import("./login.ts")).addLogin,
  logout: async () => (await import("./logout.ts")).addLogout,
  protection: async () => (await import("./protection.ts")).addProtection,
  rebuild: async () => (await import("./rebuild.ts")).addRebuild,
  source: async () => (await import("./source.ts")).addSource,
  access: async () => (await import("./access.ts")).addAccess,
  grant: async () => (await import("./grant.ts")).addGrant,
  namespace: async () => (await import("./namespace.ts")).addNamespace,
  org: async () => (await import("./org.ts")).addOrg,
  robot: async () => (await import("./robot.ts")).addRobot,
  repo: async () => (await import("./repo.ts")).addRepo,
  role: async () => (await import("./role.ts")).addRole,
  tag: async () => (await import("./tag.ts")).addTag,
  team: async () => (await import("./team.ts")).addTeam,
  tls: async () => (await import("./tls.ts")).addTls,
  token: async () => (await import("./token.ts")).addToken,
  user: async () => (await import("./user.ts")).addUser,
  version: async () => (await import("./version.ts")).addVersion,
  workload: async () => (await import("./workload.ts")).addWorkload,
  worker: async () => (await import("./worker.ts")).addWorker,
};

/** The program with the command that is named, or with all of them where none is. */
export async function commandLine(name: string | undefined): Promise<Command> {
  const program = new Command("berth").description("a container registry in one process");
  for (const load of wanted(name)) (await load())(program);
  return program;
}

/** They end when they are told to, whoever reads what they say. */
const servers: ReadonlySet<string | undefined> = new Set(["serve", "worker"]);

/** Does what the command line says, and is what an error of it looks like. */
export async function runCommandLine(): Promise<void> {
  // The data folder holds password hashes and private images: files that Berth makes are not everyone's to read.
  process.umask(0o027);

  const [, , name] = process.argv;
  if (!servers.has(name)) endWithReader();
  const program = await commandLine(name);
  try {
    await program.parseAsync();
  } catch (error) {
    if (isReaderGone(error)) process.exit();
    // What the operator can set right is told in a line each; anything else is a bug and shows where.
    const isTheirs = error instanceof ConfigError || error instanceof StartError;
    const lines =
      error instanceof ConfigError ? error.problems : [error instanceof Error ? error.message : String(error)];
    for (const line of lines) process.stderr.write(`berth: ${line}\n`);
    if (!isTheirs && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
    process.exit(isTheirs ? 2 : 1);
  }
}

/** `berth audit list | head` has said all that somebody wants to read when head ends. */
function endWithReader(): void {
  process.stdout.on("error", (error) => {
    if (isReaderGone(error)) process.exit();
    throw error;
  });
}

const isReaderGone = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "EPIPE";

/** The command that is named, or all of them for what tells of them. */
function wanted(name = ""): readonly (() => Promise<AddCommand>)[] {
  const one = Object.hasOwn(commands, name) ? commands[name] : undefined;
  return one === undefined ? Object.values(commands) : [one];
}
