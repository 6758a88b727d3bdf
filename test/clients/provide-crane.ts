import { tmpdir } from "node:os";
import { join } from "node:path";
import { attempt } from "./run.ts";

/** Module and version of crane: Debian has no package of it, so the Go client builds it. */
const craneModule = "github.com/google/go-containerregistry/cmd/crane";
const craneVersion = "v0.20.6";

/** By itself `Bun.which` looks where PATH led at the start. */
export const isInstalled = (program: string): boolean =>
  Bun.which(program, { PATH: process.env["PATH"] ?? "" }) !== null;

/** Puts crane on the path: an installed one, else one that the Go client builds in a temporary folder. */
export async function provideCrane(): Promise<void> {
  if (isInstalled("crane") || !isInstalled("go")) return;
  const folder = join(tmpdir(), `berth-test-crane-${craneVersion}`);
  process.env["PATH"] = `${process.env["PATH"] ?? ""}:${folder}`;
  if (isInstalled("crane")) return;
  const env = { GOBIN: folder };
  await attempt(["go", "install", `${craneModule}@${craneVersion}`], { env, timeoutMs: 400_000 });
}
