import { NewerSchemaError } from "../platform/database/migrations.ts";

/** Something that the operator can set right; told without a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/**
 * Runs a step of the start. A failure with a code is the system's (a folder, the network, the database), and told with
 * the setting that led there; any other is a bug.
 * @throws StartError
 */
export async function startStep<T>(setting: string, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const isSystems = error instanceof Error && "code" in error && typeof error.code === "string";
    if (isSystems || error instanceof NewerSchemaError) throw new StartError(`${setting}: ${error.message}`);
    throw error;
  }
}
