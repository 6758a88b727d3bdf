import { describe, expect, it } from "bun:test";
import { inspectConfig } from "./load-config.ts";

const inspect = (environment: Readonly<Record<string, string>>) =>
  inspectConfig({ file: undefined, environment, flags: {} });
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };

describe("OpenTelemetry's variables", () => {
  it("say where traces go, and how", () => {
    const { config, problems, origins } = inspect({
      ...endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20b,x-team=c",
      OTEL_EXPORTER_OTLP_TIMEOUT: "2500",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
      OTEL_EXPORTER_OTLP_CERTIFICATE: "/etc/ca.pem",
      OTEL_SERVICE_NAME: "registry",
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.25",
    });
    expect(problems).toEqual([]);
    expect(config?.tracing).toEqual({
      endpoint: "http://collector:4318/v1/traces",
      headers: "x-key=a b,x-team=c",
      caFile: "/etc/ca.pem",
      timeoutSeconds: 3,
      sampleRatio: 0.25,
      serviceName: "registry",
    });
    expect(origins.get("tracing.endpoint")).toEqual({ kind: "environment", name: "OTEL_EXPORTER_OTLP_ENDPOINT" });
  });

  it("count less where they are not about traces", () => {
    const environment = {
      ...endpoint,
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://traces.example/intake",
      OTEL_EXPORTER_OTLP_HEADERS: "a=1",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "a=2",
    };
    expect(inspect(environment).config?.tracing).toMatchObject({
      endpoint: "https://traces.example/intake",
      headers: "a=2",
    });
  });

  it.each<Readonly<Record<string, string>>>([
    {},
    { OTEL_SERVICE_NAME: "registry" },
    { ...endpoint, OTEL_SDK_DISABLED: "TRUE" },
    { ...endpoint, OTEL_TRACES_EXPORTER: "none" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: " " },
  ])("trace nothing: %j", (environment) => {
    expect(inspect(environment).config?.tracing).toEqual({ timeoutSeconds: 10, sampleRatio: 1, serviceName: "berth" });
  });

  it("count for nothing beside an endpoint of Berth's own: the key of one collector is not for another", () => {
    const environment = { ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "a=1", BERTH_TRACING_ENDPOINT: "http://other:4318" };
    expect(inspect(environment).config?.tracing.headers).toBeUndefined();
    expect(inspect(environment).config?.tracing.endpoint).toBe("http://other:4318");
  });

  it("may be sharpened by Berth's own", () => {
    const environment = { ...endpoint, OTEL_TRACES_SAMPLER: "always_on", BERTH_TRACING_SAMPLE_RATIO: "0.5" };
    expect(inspect(environment).config?.tracing.sampleRatio).toBe(0.5);
  });

  it.each<readonly [Readonly<Record<string, string>>, string]>([
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, "OTEL_EXPORTER_OTLP_PROTOCOL: Berth sends traces as http/protobuf alone"],
    [{ OTEL_TRACES_SAMPLER: "jaeger_remote" }, "tracing.sampleRatio: "],
    [{ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" }, "tracing.sampleRatio: "],
    [{ OTEL_EXPORTER_OTLP_TIMEOUT: "soon" }, "tracing.timeoutSeconds: "],
    [{ OTEL_EXPORTER_OTLP_HEADERS: "no equals sign" }, "tracing.headers: "],
    [{ OTEL_EXPORTER_OTLP_HEADERS: "a=b%0d%0ac" }, "tracing.headers: "],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4317" }, "tracing.endpoint: "],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://user:secret@collector" }, "tracing.endpoint: "],
  ])("do not start with what is wrong: %j", (environment, problem) => {
    const { config, problems } = inspect({ ...endpoint, ...environment });
    expect(config).toBeUndefined();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith(problem);
    expect(problems[0]).not.toContain("secret");
  });
});
