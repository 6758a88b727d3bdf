import { expect, it } from "bun:test";
import { openMetrics } from "./metrics.ts";

const seriesOf = (text: string, name: string): readonly string[] =>
  text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

it("counts and times requests under the names that dashboards know", async () => {
  const metrics = openMetrics("1.2.3");
  metrics.request({ handler: "blob", method: "GET", status: 200, seconds: 0.02 });
  metrics.request({ handler: "blob", method: "GET", status: 200, seconds: 2 });
  metrics.storageAction("filesystem", "open", 0.0001);
  metrics.gauge("berth_test", "A gauge.", () => 7);
  metrics.gauge("berth_test_unknown", "A gauge that knows nothing.", () => undefined);
  const { text, contentType } = await metrics.render();
  expect(contentType).toStartWith("text/plain; version=0.0.4");
  expect(seriesOf(text, "registry_http_requests_total")).toEqual([
    'registry_http_requests_total{code="200",handler="blob",method="GET"} 2',
  ]);
  expect(text).toContain('registry_http_request_duration_seconds_bucket{le="0.025",handler="blob",method="GET"} 1');
  expect(text).toContain('registry_http_request_duration_seconds_count{handler="blob",method="GET"} 2');
  expect(text).toContain('registry_storage_action_seconds_count{driver="filesystem",action="open"} 1');
  expect(text).toContain('berth_build_info{version="1.2.3"} 1');
  expect(seriesOf(text, "berth_test")).toEqual(["berth_test 7"]);
  expect(seriesOf(text, "berth_test_unknown")).toEqual([]);
});

it("tells of the process what is true", async () => {
  const { text } = await openMetrics("").render();
  const valueOf = (name: string): number => Number(seriesOf(text, name)[0]?.split(" ")[1]);
  expect(valueOf("process_resident_memory_bytes")).toBeGreaterThan(1_000_000);
  expect(valueOf("process_cpu_seconds_total")).toBeGreaterThan(0);
  expect(Math.abs(valueOf("process_start_time_seconds") - Date.now() / 1000)).toBeLessThan(600);
  expect(valueOf("process_open_fds")).toBeGreaterThan(0);
  expect(valueOf("process_max_fds")).toBeGreaterThan(valueOf("process_open_fds"));
});

it("has no series for a method that a client made up", async () => {
  const metrics = openMetrics("");
  for (let at = 0; at < 50; at++) metrics.request({ handler: "none", method: `M${at}`, status: 404, seconds: 0 });
  const { text } = await metrics.render();
  expect(seriesOf(text, "registry_http_requests_total")).toEqual([
    'registry_http_requests_total{code="404",handler="none",method="other"} 50',
  ]);
});
