import { killRounds } from "../../test/faults/load/kill-rounds.ts";

/** Kills and starts for so many rounds. @returns whether nothing was lost */
export async function soakKills({
  rounds,
  workers,
}: {
  readonly rounds: number;
  readonly workers: number;
}): Promise<boolean> {
  const started = performance.now();
  const minutes = (): string => ((performance.now() - started) / 60_000).toFixed(1);
  const outcome = await killRounds({
    rounds,
    workers,
    seconds: 0,
    onRound(round, acknowledged) {
      if (round % 10 === 0) console.log(`${minutes()} min: ${round} kills, ${acknowledged} changes acknowledged`);
    },
  });
  const kinds = [...outcome.acknowledged].map(([kind, count]) => `${count} ${kind}`).join(", ");
  const total = outcome.acknowledged.values().reduce((sum, count) => sum + count, 0);
  for (const problem of outcome.problems) console.log(`LOST  ${problem}`);
  console.log(`acknowledged: ${kinds}`);
  console.log(
    `${outcome.rounds} kills and ${outcome.cutStarts} more while starting, in ${minutes()} min: ` +
      `${total} changes acknowledged, ${outcome.cutOff} requests cut off, ${outcome.problems.length} problems`,
  );
  return outcome.problems.length === 0;
}
