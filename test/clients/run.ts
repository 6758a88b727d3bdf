export interface Outcome {
  readonly command: string;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

/** Runs a program to its end, whatever the end is. A program that outlives its time is killed and fails the test. */
export async function attempt(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const timeoutMs = options.timeoutMs ?? 200_000;
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...options.env },
    stdin: options.input === undefined ? "ignore" : new TextEncoder().encode(options.input),
    stdout: "pipe",
    stderr: "pipe",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  const outcome = { command: command.join(" "), exitCode, stdout, stderr };
  if (late) throw new Error(`no end after ${timeoutMs} ms: ${explain(outcome)}`);
  return outcome;
}

/** Runs a program that must succeed. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const outcome = await attempt(command, options);
  if (outcome.exitCode !== 0) throw new Error(`exit ${outcome.exitCode}: ${explain(outcome)}`);
  return outcome;
}

/** Runs a program that must fail, and returns what it said about it. */
export async function runRefused(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const outcome = await attempt(command, options);
  if (outcome.exitCode === 0) throw new Error(`succeeded, and should not have: ${explain(outcome)}`);
  return outcome.stdout + outcome.stderr;
}

const explain = (outcome: Outcome): string => `${outcome.command}\n${outcome.stdout}\n${outcome.stderr}`;
