import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "../platform/config/schema.ts";
import { drainNewcomers, type ListeningSocket, missingForSharing } from "../platform/runtime/listening-socket.ts";
import { untilShutdown } from "../platform/runtime/shutdown.ts";
import { superviseWorkers, type Worker, type Workers } from "../platform/runtime/workers/supervise.ts";
import { startWorkerProcess } from "../platform/runtime/workers/worker-process.ts";
import type { BufferedOutput } from "../platform/telemetry/buffered-output.ts";
import type { Log } from "../platform/telemetry/log.ts";
import { exitAtLast } from "./exit-at-last.ts";
import { StartError } from "./start-error.ts";
import { takeFolder } from "./take-folder.ts";
import { takeSharedPort } from "./take-port.ts";
import type { WorkerOrders } from "./worker.ts";
import { workerDuties } from "./worker-duties.ts";

interface Output {
  readonly log: Log;
  readonly output: BufferedOutput;
}

/** Serves in several processes; this one keeps them running, and answers no request itself. */
export async function supervise(config: Config, { log, output }: Output): Promise<never> {
  const missing = missingForSharing();
  if (missing !== undefined) throw new StartError(`http.workers: more than 1 is not possible here: ${missing}`);
  // The port comes first: a server that cannot have it must not touch the data.
  const { host, socket } = takeSharedPort({ setting: "http.addr", addr: config.http.addr });
  const lock = await takeFolder(config);
  const drainMs = config.shutdown.drainSeconds * 1000;
  const workers = startable(config, { log, output, socket });
  const shutdown = untilShutdown();
  process.on("SIGHUP", () => void workers.restart(drainMs));
  const failed = await Promise.race([workers.start(), shutdown.then(() => undefined)]);
  if (failed !== undefined) {
    // What stands against it the worker has told.
    await log.drain();
    process.exit(typeof failed === "number" && failed > 0 ? failed : 1);
  }
  const scheme = config.tls.certFile === undefined && config.tls.acme.hosts === undefined ? "http" : "https";
  log.info("listening", { url: `${scheme}://${host}:${socket.port}`, workers: workers.serving().length });
  log.flush();
  const signal = await shutdown;
  const pending = await Promise.all(workers.serving().map(({ process }) => process.channel.call<number>("stopping")));
  log.info("stopping", { signal, requests: pending.reduce((sum, one) => sum + one, 0) });
  exitAtLast(config.shutdown.noticeSeconds * 1000 + drainMs, log);
  await sleep(config.shutdown.noticeSeconds * 1000);
  await drainNewcomers(socket);
  await workers.stop(drainMs);
  lock.release();
  log.info("stopped");
  await log.drain();
  process.exit(0);
}

function startable(config: Config, { log, output, socket }: Output & { readonly socket: ListeningSocket }): Workers {
  let isFirst = true;
  const duties = workerDuties(() => workers.serving());
  const workers: Workers = superviseWorkers({
    count: config.http.workers,
    log,
    start: ({ name, id }, answers) =>
      startWorkerProcess(
        { args: ["worker"], socket, onLine: (line) => output.write(line) },
        {
          ...answers,
          ...duties.answers(id),
          begin(): WorkerOrders {
            const orders = { name, id, config, port: socket.port, isFirst };
            isFirst = false;
            return orders;
          },
        },
      ),
    onServing: (worker: Worker) => duties.onServing(worker),
    onEnded: (worker: Worker) => duties.onEnded(worker),
    onHopeless() {
      log.error("workers die at once", new Error("no worker comes to serve any more"));
      process.exit(1);
    },
  });
  return workers;
}
