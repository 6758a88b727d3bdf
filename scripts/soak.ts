import { parseArgs } from "node:util";
import { soakFuzz } from "./soak/fuzz.ts";
import { soakKills } from "./soak/kills.ts";
import { soakMixed } from "./soak/mixed.ts";
import { soakRaces } from "./soak/races.ts";

// What CI does for some minutes, for as long as it takes:
//   npm run soak [rounds]                   kill -9 under load, 1000 times unless told
//   npm run soak -- --workers N [rounds]    the same with N workers, of which one or all are killed
//   npm run soak -- --fuzz MINUTES          requests at random
//   npm run soak -- --mixed MINUTES         pulls, pushes, deletes and broken-off requests; whether the server grows
//   npm run soak -- --races MINUTES         several clients at once against a model, in orders of a seed
const usage = "usage: npm run soak [-- [--workers N] [rounds] | --fuzz MINUTES | --mixed MINUTES | --races MINUTES]";

function count(text: string | undefined, fallback: number): number {
  const number = Number(text ?? fallback);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(usage);
  return number;
}

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  options: {
    fuzz: { type: "string" },
    mixed: { type: "string" },
    races: { type: "string" },
    workers: { type: "string" },
  },
  allowPositionals: true,
});
const { fuzz, mixed, races, workers } = values;
const isClean = await (races !== undefined
  ? soakRaces(count(races, 1))
  : fuzz !== undefined
    ? soakFuzz(count(fuzz, 1))
    : mixed !== undefined
      ? soakMixed(count(mixed, 1))
      : soakKills({ rounds: count(positionals[0], 1000), workers: count(workers, 1) }));
process.exitCode = isClean ? 0 : 1;
