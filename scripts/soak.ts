import { killRounds } from "../test/faults/load/kill-rounds.ts";

// npm run soak [rounds]: what CI does for three minutes, for as long as it takes.
const rounds = Number(process.argv[2] ?? 1000);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error("usage: npm run soak [rounds]");

const started = performance.now();
const minutes = (): string => ((performance.now() - started) / 60_000).toFixed(1);
const outcome = await killRounds({
  rounds,
  seconds: 0,
  onRound(round, acknowledged) {
    if (round % 10 === 0) console.log(`${minutes()} min: ${round} kills, ${acknowledged} changes acknowledged`);
  },
});
for (const [kind, count] of outcome.acknowledged) console.log(`${kind}: ${count} acknowledged`);
for (const problem of outcome.problems) console.log(`LOST  ${problem}`);
console.log(
  `${outcome.rounds} kills in ${minutes()} min, ${outcome.cutOff} requests cut off, ${outcome.problems.length} problems`,
);
process.exitCode = outcome.problems.length === 0 ? 0 : 1;
