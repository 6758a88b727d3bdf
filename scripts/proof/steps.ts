export interface StepResult {
  readonly passed: boolean;
  /** Shown whole when the step failed. */
  readonly output: string;
}

export interface Step {
  readonly name: string;
  readonly run: () => Promise<StepResult>;
}

/**
 * Runs steps side by side, prints each one's result and time, and everything a failing step had to say.
 * @returns the names of those that failed
 */
export async function runSteps(
  steps: readonly Step[],
  { atOnce, print }: { readonly atOnce: number; readonly print: (line: string) => void },
): Promise<readonly string[]> {
  const waiting = steps.values();
  const failed: string[] = [];
  const takeSteps = async (): Promise<void> => {
    for (const step of waiting) {
      const started = performance.now();
      const result = await runStep(step);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      print(`${result.passed ? "ok    " : "FAILED"} ${step.name.padEnd(14)} ${seconds.padStart(6)} s`);
      if (!result.passed) {
        failed.push(step.name);
        print(result.output);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, takeSteps));
  return failed;
}

async function runStep(step: Step): Promise<StepResult> {
  try {
    return await step.run();
  } catch (error) {
    return { passed: false, output: Bun.inspect(error) };
  }
}
