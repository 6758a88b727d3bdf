import { costOf } from "../measure/cost.ts";
import type { Sample } from "../measure/row.ts";
import { quantile } from "../measure/statistics.ts";
import type { Started } from "../servers/server.ts";
import { connect, type Connection } from "./connection.ts";

export interface PullPlan {
  /** Asked for in turn. */
  readonly paths: readonly string[];
  /** The header that asks for a part, by the number of the request. */
  readonly rangeOf?: (index: number) => string;
  readonly connections: number;
  readonly seconds: number;
  readonly status?: number;
  readonly bodyBytes: number;
}

/** As `pull`, once before anyone counts. */
export async function pulling(server: Started, plan: PullPlan): Promise<() => Promise<Sample>> {
  await pull(server, { ...plan, seconds: 1 });
  return () => pull(server, plan);
}

/**
 * Gets large answers for a time, on several connections, and drops them. wrk reads 8 KiB at a time, which here would
 * measure wrk.
 */
export async function pull(server: Started, plan: PullPlan): Promise<Sample> {
  const connections = await Promise.all(Array.from({ length: plan.connections }, () => connect(server)));
  const times: number[] = [];
  const cost = await costOf(server.processes, async () => {
    const until = performance.now() + plan.seconds * 1000;
    await Promise.all(
      connections.map(async (connection, offset) => {
        for (let index = offset; performance.now() < until; index += connections.length) {
          const asked = performance.now();
          await getOne(connection, plan, index);
          times.push(performance.now() - asked);
        }
      }),
    );
  });
  for (const connection of connections) connection.close();
  const gigabytes = (times.length * plan.bodyBytes) / 1e9;
  return {
    megabytesPerSecond: (gigabytes * 1000) / cost.seconds,
    cpuSecondsPerGigabyte: cost.cpuSeconds / gigabytes,
    p99Ms: quantile(times, 0.99),
    peakMegabytes: cost.peakMegabytes,
  };
}

async function getOne(connection: Connection, plan: PullPlan, index: number): Promise<void> {
  const path = plan.paths[index % plan.paths.length] ?? "";
  const headers = plan.rangeOf === undefined ? [] : [plan.rangeOf(index)];
  const { status, bodyBytes } = await connection.exchange({ head: [`GET ${path} HTTP/1.1`, ...headers] });
  if (status !== (plan.status ?? 200) || bodyBytes !== plan.bodyBytes) {
    throw new Error(`GET ${path} answered ${String(status)} with ${String(bodyBytes)} bytes`);
  }
}
