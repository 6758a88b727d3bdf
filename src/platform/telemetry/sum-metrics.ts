import AggregatorRegistry from "prom-client/lib/cluster.js";
import type { MetricsSnapshot, RenderedMetrics } from "./metrics.ts";

/** The numbers of several processes as those of one server. */
export async function renderSum(snapshots: readonly MetricsSnapshot[]): Promise<RenderedMetrics> {
  const sum = AggregatorRegistry.aggregate([...snapshots]);
  return { contentType: sum.contentType, text: await sum.metrics() };
}

/** What processes that are no more have counted: a counter that went back would look like a new start. */
export async function sumOfCounters(snapshots: readonly MetricsSnapshot[]): Promise<MetricsSnapshot> {
  const kept: ReadonlySet<string> = new Set(["counter", "histogram"]);
  const counters = snapshots.map((snapshot) => snapshot.filter(({ type }) => kept.has(String(type))));
  return AggregatorRegistry.aggregate(counters).getMetricsAsJSON();
}
