import { quantile } from "../measure/statistics.ts";
import { connect } from "./connection.ts";

/**
 * A process of its own that asks at a given rate whatever the answers do: `HOST PATH PER_SECOND SECONDS`. A request's
 * time counts from when it was to be sent, not from when there was a connection for it: a server that stands still for
 * a moment delays all that should have come in it. Requests are handed out every millisecond, which is part of the times.
 */
const [host = "", path = "", perSecond = "", seconds = ""] = process.argv.slice(2);
const count = Number(perSecond) * Number(seconds);
const intervalMs = 1000 / Number(perSecond);
const head = [`GET ${path} HTTP/1.1`, "Accept: application/vnd.oci.image.manifest.v1+json"];

const connections = await Promise.all(Array.from({ length: 64 }, () => connect({ host, isTls: false })));
// A connection on which nothing was ever asked is closed sooner than one that rests, and a fast server needs few of them.
await Promise.all(connections.map((connection) => connection.exchange({ head })));
const idle = [...connections];
const due: number[] = [];
const times: number[] = [];
const { promise: allAnswered, resolve: end, reject: fail } = Promise.withResolvers<void>();

async function ask(connection: (typeof connections)[number]): Promise<void> {
  for (let intended = due.shift(); intended !== undefined; intended = due.shift()) {
    const { status } = await connection.exchange({ head });
    if (status !== 200) throw new Error(`answered ${String(status)}`);
    times.push(performance.now() - intended);
  }
  idle.push(connection);
  if (times.length === count) end();
}

const began = performance.now();
let given = 0;
const timer = setInterval(() => {
  for (const now = performance.now(); given < count && began + given * intervalMs <= now; given++) {
    due.push(began + given * intervalMs);
    const connection = idle.pop();
    if (connection !== undefined) ask(connection).catch(fail);
  }
  if (given === count) clearInterval(timer);
}, 1);

/** A server that cannot keep up is not waited for: what it owes at the end counts as old as it is by then. */
const graceMs = 3000;
await Promise.race([allAnswered, Bun.sleep(Number(seconds) * 1000 + graceMs)]);
const endedAt = performance.now();
times.push(
  ...Array.from({ length: count - times.length }, (_, owed) => endedAt - began - (count - 1 - owed) * intervalMs),
);
console.log(JSON.stringify({ p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) }));
// The rest is not waited for.
process.exit(0);
