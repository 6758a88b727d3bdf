import type { z } from "zod";
import type { removal } from "../access/api/removal.ts";
import { printOne } from "./print.ts";

/** What a destructive command has removed, or would. */
export function printRemoval({ dryRun, removes }: z.infer<typeof removal>, json: boolean | undefined): void {
  if (json) return printOne({ dryRun, removes }, true);
  for (const { kind, name = "", count } of removes) {
    process.stdout.write(`${dryRun ? "would remove" : "removed"} ${count} ${kind} ${name}`.trimEnd().concat("\n"));
  }
}
