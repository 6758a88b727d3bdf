import { expect, it } from "bun:test";
import { type MetricsSnapshot, openMetrics } from "./metrics.ts";
import { renderSum, sumOfCounters } from "./sum-metrics.ts";

/** As it comes from another process. */
async function snapshotOf(requests: number, expiresAt: number): Promise<MetricsSnapshot> {
  const metrics = openMetrics("1.2.3");
  for (let request = 0; request < requests; request++) {
    metrics.request({ handler: "base", method: "GET", status: 200, seconds: 0.003 });
  }
  metrics.gauge("berth_tls_certificate_expiry_timestamp_seconds", "When it expires.", () => expiresAt);
  metrics.gauge("registry_http_in_flight_requests", "Requests.", () => requests);
  return JSON.parse(JSON.stringify(await metrics.snapshot())) as MetricsSnapshot;
}

it("adds up what can be added, and takes the earliest of what cannot", async () => {
  const { text, contentType } = await renderSum([await snapshotOf(2, 300), await snapshotOf(3, 200)]);
  expect(contentType).toStartWith("text/plain; version=0.0.4");
  for (const line of [
    'registry_http_requests_total{code="200",handler="base",method="GET"} 5',
    'registry_http_request_duration_seconds_bucket{le="0.005",handler="base",method="GET"} 5',
    'registry_http_request_duration_seconds_bucket{le="+Inf",handler="base",method="GET"} 5',
    'registry_http_request_duration_seconds_count{handler="base",method="GET"} 5',
    "registry_http_in_flight_requests 5",
    "berth_tls_certificate_expiry_timestamp_seconds 200",
    'berth_build_info{version="1.2.3"} 1',
  ]) {
    expect(text.split("\n")).toContain(line);
  }
});

it("keeps of processes that are no more what only grows", async () => {
  const ended = await sumOfCounters([await snapshotOf(2, 300), await snapshotOf(3, 200)]);
  const { text } = await renderSum([ended, await snapshotOf(1, 100)]);
  expect(text).toContain('registry_http_requests_total{code="200",handler="base",method="GET"} 6');
  expect(text).toContain("registry_http_in_flight_requests 1\n");
});
