import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startIssuer, type TestIssuer } from "../openid/issuer.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** A server and a folder for one client, and everything else that must be gone when its tests are over. */
export interface Fixture extends AsyncDisposable {
  readonly server: TestServer;
  /** Whose tokens the server may be told to trust. */
  readonly issuer: TestIssuer;
  readonly folder: string;
  /** Undone in reverse order, whatever happened before. */
  readonly cleanup: AsyncDisposableStack;
}

export async function openFixture(client: string): Promise<Fixture> {
  const cleanup = new AsyncDisposableStack();
  try {
    const folder = await mkdtemp(join(tmpdir(), `berth-${client}-`));
    cleanup.defer(() => rm(folder, { recursive: true, force: true }));
    const issuer = cleanup.use(await startIssuer());
    const server = cleanup.use(await startServer({ env: trusting(issuer) }));
    return { server, issuer, folder, cleanup, [Symbol.asyncDispose]: () => cleanup.disposeAsync() };
  } catch (error) {
    await cleanup.disposeAsync();
    throw error;
  }
}

/** What the server and commands on its folder are told of the issuer. */
export const trusting = ({ url }: TestIssuer) => ({ BERTH_ACCESS_ISSUERS: JSON.stringify([{ url }]) });

/** Starts a daemon that `dispose` ends: politely first, because daemons unmount what they mounted. */
export async function startDaemon(
  fixture: Fixture,
  command: readonly string[],
  ready: () => Promise<boolean>,
): Promise<void> {
  const log = Bun.file(join(fixture.folder, "daemon.log"));
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: log, stderr: log });
  fixture.cleanup.defer(async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => {
      child.kill("SIGKILL");
    }, 15_000);
    await child.exited;
    clearTimeout(late);
  });
  const deadline = Date.now() + 30_000;
  while (!(await ready())) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`${command[0] ?? ""} did not start:\n${await log.text()}`);
    }
    await Bun.sleep(100);
  }
}
