export interface Finished {
  /** Standard output and standard error, as they came. */
  readonly output: string;
  readonly exitCode: number;
}

export interface RunOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Shows what the command prints, as it comes. */
  readonly show?: boolean;
}

/** Runs a command to its end. */
export async function run(command: readonly string[], { cwd, env = {}, show = false }: RunOptions): Promise<Finished> {
  const child = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const parts: string[] = [];
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      parts.push(text);
      if (show) process.stdout.write(text);
    }
  };
  await Promise.all([read(child.stdout), read(child.stderr)]);
  return { output: parts.join(""), exitCode: await child.exited };
}
