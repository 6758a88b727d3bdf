import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";
import { resolve } from "node:path";
import { startServer } from "../test/support/server.ts";

// npm run soak:slow [minutes]: slow clients against the presets, in real time. CI does the same with shorter ones.
const minutes = Number(process.argv[2] ?? 20);
if (!(minutes > 0)) throw new Error("usage: npm run soak:slow [minutes]");
const longMs = minutes * 60_000;
const bytesPerSecond = 1024;

await using server = await startServer({ env: { BERTH_ACCESS_MODE: "open" } });
const blob = randomBytes(32 << 20);
const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const push = await fetch(`${server.url}/v2/slow/app/blobs/uploads/?digest=${digestOf(blob)}`, {
  method: "POST",
  body: blob,
});
if (push.status !== 201) throw new Error(`the blob was not taken: ${push.status}`);

const problems: string[] = [];
function judge(what: string, found: string, isGood: boolean): void {
  console.log(`${isGood ? "ok  " : "BAD "} ${what}: ${found}`);
  if (!isGood) problems.push(what);
}

interface Heard {
  readonly text: string;
  readonly afterSeconds: number;
}

/** Says it, then `piece` every `everyMs`, until the server closes or the limit. */
function converse(
  first: string,
  { piece, everyMs, limitMs }: { piece: () => string | Uint8Array; everyMs: number; limitMs: number },
): Promise<Heard> {
  const { hostname, port } = new URL(server.url);
  const started = performance.now();
  let text = "";
  return new Promise((done) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(first));
    const timer = setInterval(() => socket.write(piece()), everyMs);
    const limit = setTimeout(() => socket.destroy(), limitMs);
    socket.on("data", (data) => (text += data.toString("latin1"))).on("error", () => undefined);
    socket.on("close", () => {
      clearInterval(timer);
      clearTimeout(limit);
      done({ text, afterSeconds: (performance.now() - started) / 1000 });
    });
  });
}

const head = (line: string, ...headers: readonly string[]): string =>
  `${[`${line} HTTP/1.1`, `Host: ${server.host}`, ...headers].join("\r\n")}\r\n\r\n`;
const within = (seconds: number, least: number, most: number): boolean => seconds >= least && seconds <= most;
const told = ({ text, afterSeconds }: Heard): string =>
  `${text.split("\r\n")[0] ?? ""} after ${afterSeconds.toFixed(1)} s`;

async function startUpload(): Promise<string> {
  const answer = await fetch(`${server.url}/v2/slow/app/blobs/uploads/`, { method: "POST" });
  return answer.headers.get("location") ?? "";
}

async function honestPush(): Promise<void> {
  const bytes = randomBytes(Math.floor((longMs / 1000) * bytesPerSecond));
  const location = await startUpload();
  let sent = 0;
  const started = performance.now();
  const heard = await converse(
    head(`PUT ${location}?digest=${digestOf(bytes)}`, `Content-Length: ${bytes.length}`, "Connection: close"),
    {
      piece() {
        const due = Math.min(bytes.length, Math.floor(((performance.now() - started) / 1000) * bytesPerSecond));
        const piece = bytes.subarray(sent, due);
        sent = due;
        return piece;
      },
      everyMs: 1000,
      limitMs: longMs + 60_000,
    },
  );
  judge(`a push at ${bytesPerSecond} bytes a second`, told(heard), heard.text.startsWith("HTTP/1.1 201 "));
}

async function stalledPush(): Promise<void> {
  const location = await startUpload();
  const first = `${head(`PATCH ${location}`, "Content-Length: 100000")}${"x".repeat(5000)}`;
  const heard = await converse(first, { piece: () => "", everyMs: 1000, limitMs: longMs });
  const stands = (await fetch(`${server.url}${location}`)).headers.get("range");
  const isGood = heard.text.startsWith("HTTP/1.1 408 ") && within(heard.afterSeconds, 119, 160) && stands === "0-4999";
  judge("a body that stands still", `${told(heard)}, the upload stands at ${stands ?? "nothing"}`, isGood);
}

async function halfRequest(what: string, first: string, piece: string): Promise<void> {
  const heard = await converse(first, { piece: () => piece, everyMs: 1000, limitMs: longMs });
  judge(what, told(heard), within(heard.afterSeconds, 5, 60));
}

/** A reader that reads nothing does not hear of its end, so it is the server that is asked. */
async function reader(what: string, rate: number, isGood: (seconds: number) => boolean): Promise<void> {
  const script = resolve(import.meta.dir, "../test/hostile/slow-reader.mjs");
  const target = `${server.url}/v2/slow/app/blobs/${digestOf(blob)}`;
  const from = rate === 0 ? "127.0.0.2" : "127.0.0.3";
  const isCut = (): boolean =>
    server.log().some(({ event, remoteAddress }) => event === "download cut" && remoteAddress === from);
  const started = performance.now();
  const child = Bun.spawn(["node", script, "plain", target, from, String(rate)], { stdout: "ignore" });
  while (!isCut() && child.exitCode === null && performance.now() - started < longMs) await Bun.sleep(100);
  const isOver = isCut() || child.exitCode !== null;
  const seconds = (performance.now() - started) / 1000;
  child.kill("SIGKILL");
  judge(what, `${isOver ? "ended" : "still going on"} after ${seconds.toFixed(1)} s`, isGood(seconds));
}

await Promise.all([
  honestPush(),
  stalledPush(),
  halfRequest("half a header", "GET /v2/ HTTP/1.1\r\nX-Slow: ", ""),
  halfRequest("a header that drips", "GET /v2/ HTTP/1.1\r\nX-Slow: ", "x"),
  halfRequest("nothing at all", "", ""),
  reader(`a reader of ${bytesPerSecond} bytes a second`, bytesPerSecond, (seconds) => seconds * 1000 >= longMs),
  // One kilobyte, and then nothing.
  reader("a reader of nothing", 0, (seconds) => within(seconds, 119, 160)),
]);
process.exitCode = problems.length === 0 ? 0 : 1;
