import { expect, it } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { withoutSettings } from "./support/server.ts";

const root = resolve(import.meta.dir, "..");

it("npm start brings up a registry, shows its first password once, and ends when it is told to", async () => {
  const data = await mkdtemp(join(tmpdir(), "berth-start-"));
  const child = Bun.spawn(["npm", "start", "--", "--addr", "127.0.0.1:0", "--data", data], {
    cwd: root,
    env: withoutSettings(process.env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  try {
    const url = await listeningUrl(child.stdout);
    const password = (await Bun.file(join(data, "initial-admin-password")).text()).trim();
    expect(password.length).toBeGreaterThanOrEqual(16);
    const authorization = `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;
    expect((await fetch(`${url}/v2/`, { headers: { authorization } })).status).toBe(200);
    expect((await fetch(`${url}/v2/`)).status).toBe(401);

    // npm hands the signal on to the shell that it started, which must have become the server.
    child.kill("SIGTERM");
    await child.exited;
    for (let waited = 0; (await answers(url)) && waited < 10_000; waited += 100) await Bun.sleep(100);
    expect(await answers(url)).toBe(false);
  } finally {
    child.kill("SIGKILL");
    await rm(data, { recursive: true, force: true });
  }
}, 120_000);

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/v2/`).then(
    () => true,
    () => false,
  );

async function listeningUrl(output: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of output) {
    text += decoder.decode(chunk, { stream: true });
    const line = text.split("\n").find((one) => one.endsWith("}") && one.includes('"event":"listening"'));
    if (line !== undefined) return (JSON.parse(line) as { url: string }).url;
  }
  throw new Error(`it ended before it listened:\n${text}`);
}
