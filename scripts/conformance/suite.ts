import { join, resolve } from "node:path";
import { startServer, type TestServer } from "../../test/support/server.ts";
import { parseJunit, type TestCase } from "../proof/junit.ts";
import { run } from "../proof/run.ts";

const root = resolve(import.meta.dir, "../..");
export const lists = join(root, "test/conformance");

/** The program of a suite, or why it cannot be had. */
export type SuiteProgram = { readonly program: string } | { readonly missing: string };

export interface SuitePlan {
  readonly program: string;
  /** An empty folder, for its reports. */
  readonly folder: string;
  /** Settings of the server, where the suite asks for other than the default. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly env: (server: TestServer) => Readonly<Record<string, string>>;
}

/** Runs a suite against a server of its own, as the account admin; the results are those of its JUnit file. */
export async function runSuite({ program, folder, settings = {}, env }: SuitePlan): Promise<readonly TestCase[]> {
  await using server = await startServer({ env: settings });
  const { output } = await run([program], { cwd: folder, env: env(server) });
  await Bun.write(join(folder, "output.txt"), output);
  const report = Bun.file(join(folder, "junit.xml"));
  return (await report.exists()) ? parseJunit(await report.text()) : [];
}

/** One name a line, sorted; a name that stands twice is expected twice. */
export async function readList(name: string): Promise<readonly string[]> {
  const text = await Bun.file(join(lists, name)).text();
  return text.split("\n").filter((line) => line !== "");
}

export async function writeList(name: string, cases: readonly TestCase[]): Promise<void> {
  const names = cases.map((one) => one.name).toSorted();
  await Bun.write(join(lists, name), `${names.join("\n")}\n`);
}
