import { startProblem } from "../features/journal/start-problem.ts";
import type { Registry } from "../registry/registry.ts";
import { StartError } from "./start-error.ts";

/** Whether a server may run on it: not on half a rebuild, and not beside what is left of a lost registry. @throws StartError */
export async function requireWholeRegistry(registry: Registry): Promise<void> {
  const problem = await startProblem(registry);
  if (problem !== undefined) throw new StartError(`data: ${problem}`);
}
