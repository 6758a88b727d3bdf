import { resolve } from "node:path";
import { withoutSettings } from "../../support/server.ts";

const berth = resolve(import.meta.dir, "../../../bin/berth");

/**
 * Starts a server on the folder and kills it at a random moment of its start.
 * @returns 1 where it had not come to listen by then, else 0
 */
export async function killWhileStarting(
  data: string,
  env: Readonly<Record<string, string>>,
  mostMs = 250,
): Promise<number> {
  const child = Bun.spawn([berth, "serve", "--addr", "127.0.0.1:0", "--data", data], {
    env: { ...withoutSettings(process.env), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  const output = new Response(child.stdout).text();
  await Bun.sleep(Math.random() * mostMs);
  child.kill("SIGKILL");
  await child.exited;
  return (await output).includes('"listening"') ? 0 : 1;
}
