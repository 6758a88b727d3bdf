import { readdir, readFile } from "node:fs/promises";
import Counter from "prom-client/lib/counter.js";
import Gauge from "prom-client/lib/gauge.js";
import Histogram from "prom-client/lib/histogram.js";
import Registry from "prom-client/lib/registry.js";
import { requestMetrics } from "./request-metrics.ts";

/** Labels come from the program alone, never from what a client sends: there are only so many series. */
export interface MeasuredRequest {
  readonly handler: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
}

export interface Metrics {
  request(measured: MeasuredRequest): void;
  storageAction(driver: string, action: string, seconds: number): void;
  /** A number that is asked for whenever the metrics are read; `undefined` leaves it out. */
  gauge(name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void;
  /** The same for a number that only grows. */
  total(name: string, help: string, read: () => number): void;
  render(): Promise<RenderedMetrics>;
  /** A count of something that is rare. @returns adds one */
  counter(
    name: string,
    help: string,
    labelNames?: readonly string[],
  ): (labels?: Readonly<Record<string, string>>) => void;
  /** The same as data, to be added to those of other processes. */
  snapshot(): Promise<MetricsSnapshot>;
}

/** In the text format of Prometheus. */
export interface RenderedMetrics {
  readonly contentType: string;
  readonly text: string;
}

export type MetricsSnapshot = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;

/** What has no meaning as a sum over processes; everything else is summed. */
const combined: Readonly<Record<string, "min">> = {
  process_start_time_seconds: "min",
  berth_tls_certificate_expiry_timestamp_seconds: "min",
};

const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** A method of HTTP, or `other`. */
export const methodLabel = (method: string): string => (methods.has(method) ? method : "other");

const storageBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];

export function openMetrics(version: string): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const request = requestMetrics(registry);
  const storage = new Histogram({
    name: "registry_storage_action_seconds",
    help: "Time of the blob store's actions; append waits for the client's bytes too.",
    labelNames: ["driver", "action"],
    buckets: storageBuckets,
    registers,
  });
  const build = { name: "berth_build_info", help: "The build that runs.", labelNames: ["version"], registers };
  new Gauge({ ...build, aggregator: "first" }).labels({ version }).set(1);
  const { gauge, total } = numbersOf(registry);
  addProcessMetrics(gauge, total);
  return {
    request: (measured) => request({ ...measured, method: methodLabel(measured.method) }),
    storageAction: (driver, action, seconds) => storage.observe({ driver, action }, seconds),
    gauge,
    total,
    counter(name, help, labelNames = []) {
      const one = new Counter({ name, help, labelNames: [...labelNames], registers });
      return (labels = {}) => one.inc({ ...labels });
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    snapshot: () => registry.getMetricsAsJSON(),
  };
}

/** Numbers that are asked for when the metrics are read. */
function numbersOf(registry: Registry): Pick<Metrics, "gauge" | "total"> {
  const gauge: Metrics["gauge"] = (name, help, read) => {
    const one = new Gauge({
      name,
      help,
      registers: [],
      aggregator: combined[name] ?? "sum",
      async collect() {
        const value = await read();
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
    registry.registerMetric(one);
  };
  const total: Metrics["total"] = (name, help, read) => {
    const one = new Counter({
      name,
      help,
      registers: [],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
    registry.registerMetric(one);
  };
  return { gauge, total };
}

/** Those of prom-client's defaults that tell the truth on this runtime; the others are always 0 here. */
function addProcessMetrics(gauge: Metrics["gauge"], total: Metrics["total"]): void {
  const startedAt = Date.now() / 1000 - process.uptime();
  total("process_cpu_seconds_total", "User and system processor time.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000_000;
  });
  gauge("process_start_time_seconds", "Start of the process since 1970.", () => startedAt);
  gauge("process_resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss());
  gauge("process_open_fds", "Open file descriptors.", openFiles);
  gauge("process_max_fds", "Most file descriptors that may be open.", mostFiles);
}

async function openFiles(): Promise<number | undefined> {
  const entries = await readdir("/proc/self/fd").catch(() => undefined);
  return entries?.length;
}

async function mostFiles(): Promise<number | undefined> {
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}
