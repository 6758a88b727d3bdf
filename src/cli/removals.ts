import { printOne } from "./print.ts";

interface Removal {
  readonly dryRun: boolean;
  readonly removes: readonly {
    readonly kind: string;
    readonly name?: string | undefined;
    readonly count: number;
  }[];
}

/** What was removed, or would be. */
export function printRemoval(removal: Removal, json: boolean): void {
  if (json) return printOne({ ...removal }, true);
  const verb = removal.dryRun ? "would remove" : "removed";
  for (const { kind, name = "", count } of removal.removes) {
    process.stdout.write(`${`${verb} ${count} ${kind} ${name}`.trimEnd()}\n`);
  }
}
