import { expect, it } from "bun:test";
import { resolve } from "node:path";

const log = resolve(import.meta.dir, "log.ts");

/** Runs a program that logs a line and then comes to its end in some way; gives back the lines and the exit code. */
async function end(
  how: string,
): Promise<{ readonly lines: readonly Record<string, unknown>[]; readonly code: number }> {
  const program = `import { flushAtEnd, openLog } from ${JSON.stringify(log)};
    const log = openLog("info"); flushAtEnd(log); log.info("before", { at: 1 }); ${how}`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "ignore" });
  const text = await new Response(child.stdout).text();
  const lines = text.trim().split("\n");
  return { lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>), code: await child.exited };
}

const ways = {
  "an exit": ["process.exit(3);", 3, []],
  "an exception": ["setTimeout(() => { throw new Error('boom'); }, 1);", 1, ["crashed"]],
  "a promise that nobody looked at": ["setTimeout(() => void Promise.reject(new Error('boom')), 1);", 1, ["crashed"]],
} as const;

for (const [name, [how, exitCode, more]] of Object.entries(ways)) {
  it(`loses no line at ${name}`, async () => {
    const { lines, code } = await end(how);
    expect(lines.map((line) => line["event"])).toEqual(["before", ...more]);
    expect(code).toBe(exitCode);
    for (const crash of lines.slice(1)) expect(String(crash["error"])).toContain("boom");
  });
}
