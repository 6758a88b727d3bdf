import { stat } from "node:fs/promises";

export interface FilesWatch<T> {
  readonly everyMs: number;
  /** Reads the files; throws where they cannot be used. */
  readonly read: () => Promise<T>;
  /** After the first look, and after each change that can be read. */
  readonly onRead: (value: T) => void;
  /** The files have changed and cannot be used; told once for each change. */
  readonly onProblem: (error: unknown) => void;
}

/**
 * Looks at files again and again: notifications of the kernel miss what is mounted from elsewhere, and links that are
 * switched. Where they are several, they may not fit for a moment: the next look sees whether they do.
 * @returns a function that ends the watch
 */
export function watchFiles<T>(files: readonly string[], { everyMs, read, onRead, onProblem }: FilesWatch<T>) {
  // Unknown at first: they may have changed since they were read for the start.
  let used: string | undefined;
  let failed: string | undefined;
  let told: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    const now = await stateOf(files);
    if (now === used) return;
    try {
      const value = await read();
      // What changed while it was read is looked at again.
      if ((await stateOf(files)) !== now || stopped) return;
      used = now;
      onRead(value);
    } catch (error) {
      // A first look may have come between two files; a second one at the same has not.
      if (failed === now && told !== now) {
        told = now;
        onProblem(error);
      }
      failed = now;
    }
  };
  const turn = async (): Promise<void> => {
    await look();
    if (!stopped) timer = setTimeout(() => void turn(), everyMs);
  };
  timer = setTimeout(() => void turn(), everyMs);
  return (): void => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** Other bytes have another of these; a file that is missing is a state too. */
async function stateOf(files: readonly string[]): Promise<string> {
  const states = await Promise.all(
    files.map(async (file) => {
      const found = await stat(file).catch(() => undefined);
      return found === undefined ? "missing" : `${found.dev}-${found.ino}-${found.mtimeMs}-${found.size}`;
    }),
  );
  return states.join(" ");
}
