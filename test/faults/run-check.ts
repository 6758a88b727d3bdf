import { resolve } from "node:path";
import { withoutSettings } from "../support/server.ts";

const berth = resolve(import.meta.dir, "../../bin/berth");

interface CheckFinding {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** `berth check --json` on a data folder. */
export async function runCheck(data: string, ...more: readonly string[]) {
  const child = Bun.spawn([berth, "check", "--json", "--data", data, ...more], {
    env: withoutSettings(process.env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const lines = output.split("\n").filter(Boolean);
  const parsed = lines.map((line) => JSON.parse(line) as CheckFinding);
  const totals = parsed.pop();
  if (totals?.kind !== "checked") throw new Error(`berth check did not end: ${output} ${errors}`);
  return { findings: parsed as readonly CheckFinding[], totals, exitCode };
}
