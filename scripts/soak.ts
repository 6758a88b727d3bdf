import { parseArgs } from "node:util";
import { soakFuzz } from "./soak/fuzz.ts";
import { soakKills } from "./soak/kills.ts";

// What CI does for some minutes, for as long as it takes:
//   npm run soak [rounds]                   kill -9 under load, 1000 times unless told
//   npm run soak -- --workers N [rounds]    the same with N workers, of which one or all are killed
//   npm run soak -- --fuzz MINUTES          requests at random
const usage = "usage: npm run soak [-- [--workers N] [rounds] | --fuzz MINUTES]";

function count(text: string | undefined, fallback: number): number {
  const number = Number(text ?? fallback);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(usage);
  return number;
}

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: { fuzz: { type: "string" }, workers: { type: "string" } },
  allowPositionals: true,
});
const isClean =
  values.fuzz === undefined
    ? await soakKills({ rounds: count(positionals[0], 1000), workers: count(values.workers, 1) })
    : await soakFuzz(count(values.fuzz, 1));
process.exitCode = isClean ? 0 : 1;
